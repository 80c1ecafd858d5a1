import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { startNodeWorker } from '../agent/worker.ts';
import type { PullResult, PushResult, SpaceConfig } from '../contract/memory/memory.ts';
import { CONTROL_QUEUE, memorySpaceId } from '../contract/workflows.ts';
import { waitUntil } from '../demo/fleet.ts';
import type { KeptWorker } from '../engine/keep-worker.ts';
import { moveToWaves, notifySpace } from '../engine/memory-workflows.ts';
import { enrolNode, startTestPlane, type TestPlane } from '../test/support/control-plane.ts';

/** The test replaces the nodes' memories; control plane, Temporal and workers are real. */
const TRAFFIC = { requests: 1, bytesUp: 10, bytesDown: 10 };
const pushOf = (rows: number): PushResult => ({ rows, segments: 1, head: null, traffic: TRAFFIC, ms: 1 });
const pullOf = (inserted: number): PullResult => ({
  operations: inserted,
  inserted,
  updated: 0,
  waiting: 0,
  segments: 1,
  problems: [],
  traffic: TRAFFIC,
  ms: 1,
});

interface FakeMemory {
  pushes: number;
  pulls: number;
  /** Rows that the next push sends. */
  rows: number;
  pull: () => Promise<PullResult>;
}

let test: TestPlane;
const workers: KeptWorker[] = [];
const enrolled: string[] = [];
let spaces = 0;

beforeAll(async () => {
  test = await startTestPlane();
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
  for (const node of enrolled.splice(0)) await test.call('DELETE', `/api/runtime/workers/${node}`);
});
afterAll(() => test.stop());

/** Enrols a node and starts its worker. */
async function addNode(node: string): Promise<FakeMemory> {
  await enrolNode(test, node);
  enrolled.push(node);
  const memory: FakeMemory = { pushes: 0, pulls: 0, rows: 0, pull: () => Promise.resolve(pullOf(1)) };
  host(node, memory);
  return memory;
}

function host(node: string, memory: FakeMemory): void {
  const none = (): Promise<never> => Promise.reject(new Error('there are no projects here'));
  const folders = { reposBase: '/nowhere', workDir: '/nowhere' };
  workers.push(
    startNodeWorker({
      engine: test.plane.deps.engine.address,
      node,
      memory: {
        push: () => {
          memory.pushes += 1;
          const rows = memory.rows;
          memory.rows = 0;
          return Promise.resolve(pushOf(rows));
        },
        pull: () => {
          memory.pulls += 1;
          return memory.pull();
        },
      },
      primary: { primary: () => Promise.resolve(''), mirror: none },
      projects: { ...folders, node, dryrun: true, credentialOf: none, contentOf: none },
      dryrun: false,
      log: pino({ level: 'silent' }),
    }),
  );
}

/** Creates a space, and waits until the nodes have synced for the first time. */
async function makeSpace(nodes: readonly FakeMemory[]): Promise<SpaceConfig> {
  spaces += 1;
  const name = `space-${spaces}`;
  const { body } = await test.call('POST', '/api/membridge/spaces', { body: { name, projects: ['*'] } });
  await waitUntil('the nodes have synced', 20, () => nodes.every(({ pulls }) => pulls > 0));
  const cid = String(body['canonical_id']);
  await waitUntil('no sync runs', 20, async () => (await syncs(cid, 'Running')).length === 0);
  for (const node of nodes) Object.assign(node, { pushes: 0, pulls: 0 });
  return { cid, projectId: name, projects: ['*'] };
}

const client = () => test.plane.deps.engine.client;

/** Returns the workflows of single nodes in a space. */
async function syncs(cid: string, status?: string): Promise<string[]> {
  const found: string[] = [];
  const query = `WorkflowType = 'syncMemory'${status === undefined ? '' : ` AND ExecutionStatus = '${status}'`}`;
  for await (const each of client().workflow.list({ query })) {
    if (each.workflowId.includes(cid)) found.push(each.workflowId);
  }
  return found;
}

async function eventsOf(workflowId: string): Promise<number> {
  const { events } = await client().workflow.getHandle(workflowId).fetchHistory();
  return events?.length ?? 0;
}

async function jobsOf(space: SpaceConfig): Promise<Record<string, unknown>[]> {
  const { body } = await test.call('GET', `/api/membridge/jobs?project=${space.projectId}&limit=50`);
  return (Array.isArray(body) ? body : (body['jobs'] ?? body['items'])) as Record<string, unknown>[];
}

it('makes the noticing node push and every other node pull, with one activity each', async () => {
  const nodes = { a: await addNode('one-a'), b: await addNode('one-b'), c: await addNode('one-c') };
  const space = await makeSpace(Object.values(nodes));
  const before = await eventsOf(memorySpaceId(space.cid));
  const syncsBefore = (await syncs(space.cid)).length;
  nodes.a.rows = 1;
  await notifySpace(client(), space, 'one-a');
  await waitUntil('the others have pulled', 20, () => nodes.b.pulls > 0 && nodes.c.pulls > 0);
  const waveJobs = async () =>
    (await jobsOf(space)).filter(({ trigger }) => trigger === 'noticed' || trigger === 'fan-out');
  await waitUntil('it is recorded', 20, async () => (await waveJobs()).length >= 3);
  expect([nodes.a.pushes, nodes.a.pulls, nodes.b.pulls, nodes.c.pulls]).toEqual([1, 0, 1, 1]);
  expect((await syncs(space.cid)).length).toBe(syncsBefore);
  expect((await eventsOf(memorySpaceId(space.cid))) - before).toBeLessThanOrEqual(25);
  const jobs = await waveJobs();
  expect(jobs.map(({ agent, status }) => `${String(agent)} ${String(status)}`).sort()).toEqual([
    'one-a completed',
    'one-b completed',
    'one-c completed',
  ]);
});

it('makes a node pull once more after a push that arrived during its pull', async () => {
  const nodes = { a: await addNode('two-a'), b: await addNode('two-b') };
  const space = await makeSpace(Object.values(nodes));
  const held = Promise.withResolvers<void>();
  nodes.b.pull = async () => {
    await held.promise;
    return pullOf(1);
  };
  for (let n = 0; n < 5; n += 1) {
    nodes.a.rows = 1;
    const pushes = nodes.a.pushes;
    await notifySpace(client(), space, 'two-a');
    await waitUntil('it is pushed', 20, () => nodes.a.pushes > pushes);
    await waitUntil('b pulls', 20, () => nodes.b.pulls > 0);
  }
  held.resolve();
  await waitUntil('b pulls again', 20, () => nodes.b.pulls === 2);
});

it('does not make the others wait for an absent node, which its own workflow serves', async () => {
  const nodes = { a: await addNode('three-a'), b: await addNode('three-b'), c: await addNode('three-c') };
  const space = await makeSpace(Object.values(nodes));
  await workers.pop()?.stop();
  for (const pulls of [1, 2]) {
    nodes.a.rows = 1;
    await notifySpace(client(), space, 'three-a');
    await waitUntil('b has pulled', 20, () => nodes.b.pulls === pulls);
  }
  const isServed = async (): Promise<boolean> =>
    (await syncs(space.cid, 'Running')).some((id) => id.endsWith('three-c'));
  expect(await isServed()).toBe(false);
  await waitUntil('c has a workflow', 30, isServed);
  expect(nodes.c.pulls).toBe(0);
  host('three-c', nodes.c);
  await waitUntil('c has pulled', 30, () => nodes.c.pulls > 0);
}, 90_000);

it('hands a failing PostgreSQL call to Temporal after seconds, and records it once PostgreSQL answers', async () => {
  const nodes = { a: await addNode('four-a'), b: await addNode('four-b') };
  const space = await makeSpace(Object.values(nodes));
  const run = (statement: string) => test.plane.deps.db.run((sql) => sql.execute(statement));
  await run('alter table space_nodes rename to space_nodes_away');
  try {
    nodes.a.rows = 1;
    await notifySpace(client(), space, 'four-a');
    await waitUntil('the engine tries', 40, async () => {
      const { raw } = await client().workflow.getHandle(memorySpaceId(space.cid)).describe();
      return (raw.pendingActivities ?? []).some(({ activityType }) => activityType?.name === 'recordWave');
    });
    const events = await eventsOf(memorySpaceId(space.cid));
    await sleep(5_000);
    expect(await eventsOf(memorySpaceId(space.cid))).toBe(events);
  } finally {
    await run('alter table space_nodes_away rename to space_nodes');
  }
  await waitUntil('it is recorded', 70, async () =>
    (await jobsOf(space)).some(({ trigger }) => trigger === 'noticed'),
  );
}, 120_000);

it('keeps a workflow for a space that is deleted and created again at once', async () => {
  for (let round = 0; round < 12; round += 1) {
    const body = { name: 'again', projects: ['*'] };
    const made = await test.call('POST', '/api/membridge/spaces', { body });
    expect(made.status).toBe(201);
    const cid = String(made.body['canonical_id']);
    const description = await client().workflow.getHandle(memorySpaceId(cid)).describe();
    expect(description.status.name).toBe('RUNNING');
    await test.call('DELETE', `/api/membridge/spaces/${cid}`);
    const again = await test.call('POST', '/api/membridge/spaces', { body });
    expect(again.status).toBe(201);
    // A workflow that was about to end would have ended by the time of this answer.
    await client().workflow.getHandle(memorySpaceId(cid)).query('spaceState');
    const { status } = await client().workflow.getHandle(memorySpaceId(cid)).describe();
    expect(status.name).toBe('RUNNING');
    await test.call('DELETE', `/api/membridge/spaces/${cid}`);
  }
});

it('serves nodes in waves after a signal to a run of version 0.4', async () => {
  const nodes = { a: await addNode('old-a'), b: await addNode('old-b') };
  const space = await makeSpace(Object.values(nodes));
  await client().workflow.getHandle(memorySpaceId(space.cid)).terminate();
  await client().workflow.start('memorySpace', {
    workflowId: memorySpaceId(space.cid),
    taskQueue: CONTROL_QUEUE,
    args: [{ space, pending: [], catchUp: false }],
  });
  await moveToWaves(client(), space.cid);
  nodes.a.rows = 1;
  await notifySpace(client(), space, 'old-a');
  await waitUntil('b has pulled', 20, () => nodes.b.pulls > 0);
  const firstEvent = async (): Promise<string> => {
    const { runId } = await client().workflow.getHandle(memorySpaceId(space.cid)).describe();
    const { events } = await client().workflow.getHandle(memorySpaceId(space.cid), runId).fetchHistory();
    return JSON.stringify(events?.[0]);
  };
  await expect.poll(firstEvent, { timeout: 20_000 }).toContain('continuedExecutionRunId');
});

it('ends a space’s workflow when it is canceled in Temporal', async () => {
  const nodes = { a: await addNode('six-a') };
  const space = await makeSpace(Object.values(nodes));
  const handle = client().workflow.getHandle(memorySpaceId(space.cid));
  const { runId } = await handle.describe();
  await handle.cancel();
  const run = client().workflow.getHandle(memorySpaceId(space.cid), runId);
  await waitUntil('it has ended', 20, async () => (await run.describe()).status.name === 'CANCELLED');
});
