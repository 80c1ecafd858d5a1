import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import type { CloneProgress, NodeCredential } from '../../contract/projects/projects.ts';
import { makeGitNode, makeSpec, type GitNode, type SpecInput } from '../../test/git/node.ts';
import { startGitServers, TOKEN, type GitServers } from '../../test/git/servers.ts';
import { freshNamespace } from '../../test/support/namespace.ts';
import { createProjectActivities } from './projects.ts';

let servers: GitServers;
let node: GitNode;
let connection: Connection;
let native: NativeConnection;
let client: Client;
let asked: string[] = [];
let number = 0;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  servers = await startGitServers();
  const { address } = inject('parts').temporal;
  const namespace = await freshNamespace(address);
  [connection, native] = await Promise.all([
    Connection.connect({ address }),
    NativeConnection.connect({ address }),
  ]);
  client = new Client({ connection, namespace });
});
afterAll(async () => {
  await connection.close();
  await native.close();
  await servers.stop();
});
beforeEach(() => {
  node = makeGitNode();
  asked = [];
});
afterEach(() => {
  servers.open.trouble = { kind: 'none' };
  node.remove();
});

/** Starts an activity on a dedicated worker, and passes its workflow to the observer. */
async function run<T>(
  activity: 'cloneRepository' | 'fetchRepository',
  spec: SpecInput,
  look: (handle: WorkflowHandle) => Promise<T>,
  dryrun = false,
): Promise<T> {
  const credential: NodeCredential = {
    credential: { kind: 'token', username: 'git', token: TOKEN },
    known_hosts: null,
  };
  const name = `node-${(number += 1)}`;
  const worker = await Worker.create({
    connection: native,
    namespace: client.options.namespace,
    taskQueue: name,
    workflowsPath: join(import.meta.dirname, '..', '..', 'test', 'support', 'activity-workflow.ts'),
    maxHeartbeatThrottleInterval: '100 ms',
    defaultHeartbeatThrottleInterval: '100 ms',
    activities: createProjectActivities({
      reposBase: node.base,
      workDir: node.work,
      node: name,
      dryrun,
      credentialOf: async ({ projectId }) => {
        asked.push(projectId);
        return await Promise.resolve(credential);
      },
    }),
  });
  return await worker.runUntil(async () => {
    const handle = await client.workflow.start('runActivity', {
      taskQueue: name,
      workflowId: name,
      args: [activity, { spec: makeSpec(spec), timeoutMs: 60_000 }],
    });
    return await look(handle);
  });
}

const outcome = async (handle: WorkflowHandle): Promise<unknown> =>
  await handle.result().catch((error: { cause?: { cause?: unknown } }) => error.cause?.cause ?? error.cause);

it('clones with the control plane’s credential, which is requested only when there is one', async () => {
  const { name } = servers.create('private');
  const repoUrl = `${servers.closed.url}/${name}.git`;
  expect(
    await run('cloneRepository', { repoUrl, hasCredential: true, projectId: 'p7' }, outcome),
  ).toMatchObject({ outcome: 'cloned' });
  expect(asked).toEqual(['p7']);
  const failure = await run('fetchRepository', { repoUrl }, outcome);
  expect(failure).toMatchObject({ type: 'git_auth_failed', nonRetryable: true });
  expect(JSON.stringify(failure)).not.toContain(TOKEN);
  expect(asked).toEqual(['p7']);
});

it('reports git’s progress in heartbeats; a canceled clone ends and leaves nothing', async () => {
  const { name } = servers.create('large', { bytes: 3_000_000 });
  servers.open.trouble = { kind: 'slow', everyMs: 300 };
  await run('cloneRepository', { repoUrl: `${servers.open.url}/${name}.git` }, async (handle) => {
    let seen: CloneProgress | undefined;
    while (seen?.phase !== 'receiving objects') {
      await sleep(100);
      const { raw } = await handle.describe();
      const payload = raw.pendingActivities?.[0]?.heartbeatDetails?.payloads?.[0];
      if (payload != null) seen = defaultPayloadConverter.fromPayload<CloneProgress>(payload);
    }
    expect(seen.percent).toBeGreaterThanOrEqual(0);
    expect(readdirSync(node.base)).toHaveLength(1);
    await handle.cancel();
    expect(await outcome(handle)).toBeDefined();
    expect((await handle.describe()).status.name).toBe('CANCELLED');
    expect(readdirSync(node.base)).toEqual([]);
  });
});

it('refuses to act in a dry run', async () => {
  const failure = await run('cloneRepository', { repoUrl: 'http://127.0.0.1:1/a' }, outcome, true);
  expect(failure).toMatchObject({
    type: 'conflict',
    message: expect.stringMatching(/MEMBRIDGE_AGENT_DRYRUN=1: nothing was done with app/),
  });
});
