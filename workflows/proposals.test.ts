import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createProposalActivities, type ProposalInput } from '../activities/node/proposals.ts';
import { MembridgeError } from '../contract/errors.ts';
import { nodeQueue, proposalWorkflowId } from '../contract/names.ts';
import type { ApplyResult, Proposal } from '../contract/projects/proposals.ts';
import { keepWorker, type KeptWorker } from '../engine/keep-worker.ts';
import { sweepProposals } from '../api/proposals/sweep.ts';
import { blobKey, getBlob } from '../storage/blobs.ts';
import { enrolNode, heartbeat, startTestPlane, type TestPlane } from '../test/support/control-plane.ts';
import { makeGitNode, type GitNode } from '../test/git/node.ts';
import { git, startGitServers, type GitServers, type ServedRepository } from '../test/git/servers.ts';
import { fileOutput, insertTestProposal } from '../test/git/proposals.ts';

const SOON = { timeout: 20_000, interval: 50 };
/** A node counts as away after 15 s, and as hanging after 10 s. */
const AWAY = { timeout: 45_000, interval: 100 };

let test: TestPlane;
let servers: GitServers;
let made = 0;
const workers: KeptWorker[] = [];
const folders: GitNode[] = [];
const keys = new Map<string, string>();

beforeAll(async () => {
  test = await startTestPlane();
  servers = await startGitServers();
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
  for (const folder of folders.splice(0)) {
    expect(readdirSync(folder.base)).toEqual([]);
    folder.remove();
  }
});
afterAll(async () => {
  await servers.stop();
  await test.stop();
});

type Apply = (input: ProposalInput) => Promise<ApplyResult>;

/** Creates an enrolled, online node that makes real commits. */
async function node(around: (apply: Apply) => Apply = (apply) => apply, dryrun = false): Promise<string> {
  made += 1;
  const name = `n${made}`;
  keys.set(name, (await enrolNode(test, name)).agent_key);
  const folder = makeGitNode();
  folders.push(folder);
  const activities = createProposalActivities({
    reposBase: folder.base,
    workDir: folder.work,
    node: name,
    dryrun,
    credentialOf: () => Promise.reject(new Error('there is no credential')),
    contentOf: (blob) => getBlob(test.plane.deps.store, blob),
  });
  workers.push(
    keepWorker(
      test.plane.deps.engine.address,
      {
        taskQueue: nodeQueue(name),
        activities: { applyProposal: around((input) => activities.applyProposal(input)) },
        maxHeartbeatThrottleInterval: '500 milliseconds',
        shutdownGraceTime: '100 milliseconds',
        shutdownForceTime: '1 second',
      },
      { polls: () => undefined, ended: () => undefined },
    ),
  );
  return name;
}

/** Creates a project with a repository that accepts pushes. */
async function project(primary?: string): Promise<{ id: string; repository: ServedRepository }> {
  made += 1;
  const repository = servers.create(`w${made}`);
  git(repository.folder, 'config', 'http.receivepack', 'true');
  const { status, body } = await test.call('POST', '/api/runtime/projects', {
    body: {
      name: `w${made}`,
      repo_url: `${servers.open.url}/w${made}.git`,
      ...(primary === undefined ? {} : { primary_node_id: primary }),
    },
  });
  expect(status, JSON.stringify(body)).toBe(201);
  return { id: String(body['id']), repository };
}
const get = async (id: string): Promise<Proposal> =>
  (await test.call('GET', `/api/runtime/proposals/${id}`)).body as unknown as Proposal;
const approve = (id: string, body: Record<string, unknown> = {}) =>
  test.call('POST', `/api/runtime/proposals/${id}/approve`, { body });
const tip = (repository: ServedRepository): string => git(repository.folder, 'rev-parse', 'main');
const count = (repository: ServedRepository): string => git(repository.folder, 'rev-list', '--count', 'main');
const actions = async (id: string): Promise<[string, string][]> => {
  const { rows } = await test.plane.deps.db.pool.query<{ action: string; actor: string }>(
    'select action, actor from audit_logs where entity_id = $1 order by id',
    [id],
  );
  return rows.map(({ action, actor }) => [action, actor]);
};

describe('an approved proposal', () => {
  it('is committed by the primary node, and every step is published and stored', async () => {
    const primary = await node();
    await node();
    const { id: projectId, repository } = await project(primary);
    const before = tip(repository);
    const id = await insertTestProposal(
      test.plane.deps,
      projectId,
      fileOutput('notes/a.md', 'a\n', { expected_version: before }),
    );
    const { status, body } = await approve(id);
    expect(status).toBe(202);
    expect(['approved', 'applying', 'applied']).toContain(body['status']);
    await expect.poll(() => get(id), SOON).toMatchObject({ status: 'applied' });
    const applied = await get(id);
    expect(applied).toMatchObject({
      commit: tip(repository),
      node_id: primary,
      decided_by: 'api',
      error_code: null,
      history_url: expect.stringContaining(encodeURIComponent(proposalWorkflowId(id))) as string,
    });
    expect(git(repository.folder, 'rev-parse', 'main^')).toBe(before);
    expect(git(repository.folder, 'show', 'main:notes/a.md')).toBe('a');
    expect(await actions(id)).toEqual([
      ['proposal_created', 'maker'],
      ['proposal_approved', 'api'],
      ['proposal_applying', 'engine'],
      ['proposal_applied', primary],
    ]);
    const { rows } = await test.plane.deps.db.pool.query<{ status: string }>(
      "select payload->'proposal'->>'status' as status from events where payload->'proposal'->>'id' = $1 order by seq",
      [id],
    );
    expect(rows.map((row) => row.status)).toEqual(['pending', 'approved', 'applying', 'applied']);
    for (const what of ['approve', 'reject']) {
      const again = await test.call('POST', `/api/runtime/proposals/${id}/${what}`, { body: {} });
      expect([again.status, again.body['error']]).toEqual([
        409,
        expect.stringMatching(/its status is applied/),
      ]);
    }
    expect(count(repository)).toBe('2');
  });

  it('is approved by one of several concurrent approvals, and committed once', async () => {
    const { id: projectId, repository } = await project(await node());
    const id = await insertTestProposal(test.plane.deps, projectId, fileOutput('a', 'a'));
    const answers = await Promise.all([1, 2, 3, 4].map(() => approve(id)));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([202, 409, 409, 409]);
    await expect.poll(() => get(id), SOON).toMatchObject({ status: 'applied' });
    expect(count(repository)).toBe('2');
  });

  it('fails for another version than the branch has, and may be approved for the right one', async () => {
    const { id: projectId, repository } = await project(await node());
    const expected = tip(repository);
    const now = repository.push({ other: '1' });
    const id = await insertTestProposal(
      test.plane.deps,
      projectId,
      fileOutput('a', 'a', { expected_version: expected }),
    );
    await approve(id);
    await expect
      .poll(() => get(id), SOON)
      .toMatchObject({ status: 'failed', error_code: 'version_conflict', commit: null });
    expect((await get(id)).detail).toContain(now);
    expect(count(repository)).toBe('2');
    const rejected = await test.call('POST', `/api/runtime/proposals/${id}/reject`, { body: {} });
    expect(rejected.status).toBe(409);
    expect((await approve(id, { expected_version: now })).status).toBe(202);
    await expect
      .poll(() => get(id), SOON)
      .toMatchObject({
        status: 'applied',
        error_code: null,
        expected_version: now,
      });
    expect(git(repository.folder, 'rev-parse', 'main^')).toBe(now);
    expect((await actions(id)).map(([action]) => action).slice(1)).toEqual([
      'proposal_approved',
      'proposal_applying',
      'proposal_failed',
      'proposal_approved',
      'proposal_applying',
      'proposal_applied',
    ]);
  });

  it('fails when it does not apply, and leaves the branch unchanged', async () => {
    const { id: projectId, repository } = await project(await node());
    const before = tip(repository);
    const id = await insertTestProposal(
      test.plane.deps,
      projectId,
      '--- a/none\n+++ b/none\n@@ -1 +1 @@\n-a\n+b\n',
    );
    await approve(id);
    await expect.poll(() => get(id), SOON).toMatchObject({ status: 'failed', error_code: 'patch_rejected' });
    expect(tip(repository)).toBe(before);
  });
});

describe('a proposal that cannot be committed', () => {
  it('fails when its output was removed or replaced', async () => {
    const { id: projectId, repository } = await project(await node());
    const { db, store } = test.plane.deps;
    const keyOf = async (id: string): Promise<string> => {
      const { rows } = await db.pool.query<{ sha256: string }>(
        'select sha256 from runtime_artifacts a join proposals p on p.artifact_id = a.id where p.id = $1',
        [id],
      );
      return blobKey(rows[0]?.sha256 ?? '');
    };
    const removed = await insertTestProposal(test.plane.deps, projectId, fileOutput('a', 'removed'));
    await store.remove(await keyOf(removed));
    await approve(removed);
    await expect.poll(() => get(removed), SOON).toMatchObject({ status: 'failed', error_code: 'not_found' });
    const other = await insertTestProposal(test.plane.deps, projectId, fileOutput('a', 'other'), {
      path: 'b',
    });
    await approve(other);
    await expect
      .poll(() => get(other), SOON)
      .toMatchObject({
        status: 'failed',
        error_code: 'patch_rejected',
        detail: 'The output differs from the approved proposal.',
      });
    expect(count(repository)).toBe('1');
  });

  it('fails when the node only makes dry runs, or the project was deleted', async () => {
    const { id: projectId, repository } = await project(await node((apply) => apply, true));
    const dry = await insertTestProposal(test.plane.deps, projectId, fileOutput('a', 'a'));
    await approve(dry);
    await expect.poll(() => get(dry), SOON).toMatchObject({ status: 'failed', error_code: 'conflict' });
    expect(count(repository)).toBe('1');
    await test.call('DELETE', `/api/runtime/projects/${projectId}`);
    expect((await approve(dry)).status).toBe(202);
    await expect.poll(() => get(dry), SOON).toMatchObject({ status: 'failed', error_code: 'not_found' });
  });
});

describe('the node of a proposal', () => {
  it('is an online node with a clone when the project has no primary', async () => {
    const { id: projectId } = await project();
    const without = await insertTestProposal(test.plane.deps, projectId, fileOutput('a', 'a'));
    await approve(without);
    await expect
      .poll(() => get(without), SOON)
      .toMatchObject({
        status: 'failed',
        error_code: 'node_offline',
        detail: expect.stringMatching(/no primary node and no clone on any node/) as string,
      });
    const name = await node();
    await test.plane.deps.db.pool.query(
      `insert into project_node_status (id, project_id, node_id, clone_status, detail, updated_at, workflow_id, run_id)
       values ('c1', $1, $2, 'cloned', '', 1, '', ''), ('c2', $1, 'a-gone-one', 'cloned', '', 1, '', '')`,
      [projectId, name],
    );
    await approve(without);
    await expect.poll(() => get(without), SOON).toMatchObject({ status: 'applied', node_id: name });
  });

  it('is not waited for when it is known to be offline', async () => {
    await enrolNode(test, 'off', false);
    const { id: projectId } = await project('off');
    const id = await insertTestProposal(test.plane.deps, projectId, fileOutput('a', 'a'));
    await approve(id);
    await expect
      .poll(() => get(id), SOON)
      .toMatchObject({
        status: 'failed',
        error_code: 'node_offline',
        detail: expect.stringMatching(/off, the primary node of w\d+, is offline/) as string,
      });
  });

  it('is soon given up when it just went silent', async () => {
    await enrolNode(test, 'silent');
    const { id: projectId } = await project('silent');
    const id = await insertTestProposal(test.plane.deps, projectId, fileOutput('a', 'a'));
    await approve(id);
    await expect.poll(() => get(id), SOON).toMatchObject({ status: 'applying', node_id: 'silent' });
    await expect
      .poll(() => get(id), AWAY)
      .toMatchObject({
        status: 'failed',
        error_code: 'node_offline',
        detail: expect.stringMatching(/silent is offline/) as string,
      });
  });

  it('finds its earlier commit at the next try when it pushed and then went silent', async () => {
    let tries = 0;
    const hangs = await node((apply) => async (input) => {
      tries += 1;
      const result = await apply(input);
      if (tries > 1) return result;
      // From here on it sends neither a heartbeat nor an answer.
      await Context.current().cancelled;
      return result;
    });
    const { id: projectId, repository } = await project(hangs);
    const id = await insertTestProposal(
      test.plane.deps,
      projectId,
      fileOutput('a', 'a', { expected_version: tip(repository) }),
    );
    await approve(id);
    await expect.poll(() => get(id), AWAY).toMatchObject({ status: 'applied' });
    expect((await get(id)).commit).toBe(tip(repository));
    expect([tries, count(repository)]).toEqual([2, '2']);
  });

  it('retries after a temporary failure', async () => {
    let tries = 0;
    const name = await node((apply) => async (input) => {
      tries += 1;
      if (tries === 1) throw new MembridgeError('git_unreachable', 'the server is away');
      return await apply(input);
    });
    const { id: projectId } = await project(name);
    const id = await insertTestProposal(test.plane.deps, projectId, fileOutput('a', 'a'));
    await approve(id);
    await expect.poll(() => get(id), SOON).toMatchObject({ status: 'applied' });
    expect(tries).toBe(2);
  });
});

describe('the workflow of a proposal', () => {
  /** Returns a proposal whose node is in the middle of a push that the server holds. */
  async function held(): Promise<{ id: string; repository: ServedRepository; release: () => void }> {
    const { id: projectId, repository } = await project(await node());
    const hook = join(repository.folder, 'hooks', 'pre-receive');
    writeFileSync(hook, '#!/bin/sh\nwhile [ ! -e go ]; do sleep 0.05; done\n', { mode: 0o755 });
    const id = await insertTestProposal(test.plane.deps, projectId, fileOutput('a', 'a'));
    await approve(id);
    await expect.poll(() => get(id), SOON).toMatchObject({ status: 'applying' });
    await expect.poll(() => readdirSync(folders.at(-1)?.base ?? ''), SOON).toHaveLength(1);
    return { id, repository, release: () => writeFileSync(join(repository.folder, 'go'), '') };
  }
  const handleOf = (id: string) => test.plane.deps.engine.client.workflow.getHandle(proposalWorkflowId(id));
  const online = (): Promise<unknown> =>
    Promise.all(
      [...keys].map(([name, key]) =>
        test.call('POST', '/api/agent/heartbeat', {
          headers: { 'X-MEMBRIDGE-AGENT': key },
          body: heartbeat(name),
        }),
      ),
    );

  it('ends git when it is canceled, says so, and may be requested again', async () => {
    const { id, repository, release } = await held();
    await handleOf(id).cancel();
    await expect.poll(() => get(id), AWAY).toMatchObject({ status: 'failed', error_code: 'cancelled' });
    release();
    await online();
    expect((await approve(id)).status).toBe(202);
    await expect.poll(() => get(id), AWAY).toMatchObject({ status: 'applied' });
    expect((await get(id)).commit).toBe(tip(repository));
    expect(count(repository)).toBe('2');
  });

  it('is noticed when it is terminated, and its proposal may be approved again', async () => {
    const { id, repository, release } = await held();
    await handleOf(id).terminate();
    const { deps } = test.plane;
    await sweepProposals(deps);
    expect(await get(id)).toMatchObject({ status: 'applying' });
    const later = { ...deps, now: () => deps.now() + 31_000 };
    await sweepProposals(later);
    expect(await get(id)).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/ended as terminated without a result/) as string,
    });
    release();
    await online();
    expect((await approve(id)).status).toBe(202);
    await expect.poll(() => get(id), AWAY).toMatchObject({ status: 'applied' });
    expect((await get(id)).commit).toBe(tip(repository));
    expect(count(repository)).toBe('2');
  });
});
