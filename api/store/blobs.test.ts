import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leases, projectNodeStatus } from '../../db/schema.ts';
import { blobKey, putBlob } from '../../storage/blobs.ts';
import { heartbeat, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import { fileOutput, insertTestProposal } from '../../test/git/proposals.ts';
import { enrolStoreNode, sha256, type StoreNode } from '../../test/store/node.ts';
import { taskCalls, type TaskCalls } from '../../test/tasks/calls.ts';

let test: TestPlane;
let tasks: TaskCalls;
let plain: StoreNode;
let labelled: StoreNode;

beforeAll(async () => {
  test = await startTestPlane();
  tasks = taskCalls(test);
  plain = await enrolStoreNode(test, 'plain');
  labelled = await enrolStoreNode(test, 'labelled');
  const { facts, ...rest } = heartbeat('labelled');
  const capabilities = { claude_cli: true, max_concurrency: 1, labels: ['gpu'] };
  await test.call('PUT', '/api/runtime/workers/labelled/pools', { body: { pools: ['gpu'] } });
  await test.call('POST', '/api/agent/heartbeat', {
    headers: { 'X-MEMBRIDGE-AGENT': labelled.enrolled.agent_key },
    body: { ...rest, facts: { ...facts, capabilities } },
  });
});
afterAll(async () => await test.stop());

/** Makes a task whose unique prompt is too long for a workflow. Returns its id and the key of the prompt. */
async function longTask(name: string, more: Record<string, unknown>): Promise<{ id: string; key: string }> {
  const prompt = `${name} ${'x'.repeat(100_000)}`;
  const id = await tasks.make({ prompt, ...more });
  const key = blobKey(sha256(Buffer.from(prompt)));
  expect(await test.plane.deps.store.get(key)).not.toBeNull();
  return { id, key };
}
const statuses = async (key: string): Promise<number[]> => [
  (await plain.ask('GET', key)).status,
  (await labelled.ask('GET', key)).status,
];

/** Gives a node an agent's lease of a task, as the task's workflow records it. */
async function holdLease(node: string, taskId: string): Promise<void> {
  const now = Date.now();
  await test.plane.deps.db.run((sql) =>
    sql.insert(leases).values({
      id: `lease_${node}_${taskId}`,
      task_id: taskId,
      worker_id: node,
      epoch: 1,
      kind: 'agent',
      started_at: now,
      expires_at: now + 60_000,
      ttl_seconds: 60,
      status: 'active',
      last_heartbeat: now,
      context_id: 'c',
    }),
  );
}

describe('a long prompt', () => {
  it('is readable only for nodes that may get its task', async () => {
    const { key } = await longTask('of a pool', { pool: 'gpu', auto_dispatch: false });
    expect(await statuses(key)).toEqual([403, 200]);
    const named = await longTask('of a node', { worker_id: 'plain', auto_dispatch: false });
    expect(await statuses(named.key)).toEqual([200, 403]);
  });

  it('is unreadable once its task has ended, except for a node that holds its lease', async () => {
    const { id, key } = await longTask('that ends', { auto_dispatch: false });
    expect(await statuses(key)).toEqual([200, 200]);
    expect((await tasks.post(id, 'cancel')).status).toBe(200);
    await tasks.becomes(id, { status: 'cancelled' });
    expect(await statuses(key)).toEqual([403, 403]);
    await holdLease('plain', id);
    expect(await statuses(key)).toEqual([200, 403]);
  });
});

describe('an output', () => {
  it('is accepted from a node with an agent’s lease, under its digest and up to the task’s limit', async () => {
    const bytes = Buffer.from('what the program said');
    const key = blobKey(sha256(bytes));
    expect((await labelled.put(key, bytes)).status).toBe(403);
    const id = await tasks.make({ auto_dispatch: false, policy: { output_kb: 1 } });
    await tasks.lease(id, 'labelled');
    // A worker over HTTP sends its output to the API, not to the store.
    expect((await labelled.put(key, bytes)).status).toBe(403);
    await holdLease('labelled', id);
    expect((await labelled.put(key, bytes)).status).toBe(200);
    expect((await labelled.put(key, Buffer.from('something else'))).status).toBe(400);
    const large = Buffer.alloc(6 * 1_024 + 4 * 2 ** 20 + 1);
    expect((await labelled.put(blobKey(sha256(large)), large)).status).toBe(413);
    expect((await labelled.ask('DELETE', key)).status).toBe(403);
  });
});

describe('a proposed change', () => {
  it('is readable for nodes that have a clone of its project', async () => {
    const { body: project } = await test.call('POST', '/api/runtime/projects', {
      body: { name: 'garden', repo_url: 'https://git.example.org/garden' },
    });
    const output = fileOutput('a.md', 'proposed');
    await insertTestProposal(test.plane.deps, String(project['id']), output);
    const { sha256: digest } = await putBlob(test.plane.deps.store, Buffer.from(output));
    expect(await statuses(blobKey(digest))).toEqual([403, 403]);
    await test.plane.deps.db.run((sql) =>
      sql
        .insert(projectNodeStatus)
        .values({
          id: 'clone',
          project_id: String(project['id']),
          node_id: 'plain',
          clone_status: 'cloned',
          updated_at: Date.now(),
          workflow_id: 'w',
          run_id: 'r',
        })
        .onConflictDoNothing(),
    );
    expect(await statuses(blobKey(digest))).toEqual([200, 403]);
  });
});
