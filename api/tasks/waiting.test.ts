import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enrolNode, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import type { TaskSpec } from '../../contract/tasks/task-workflow.ts';
import { findRoute } from '../../db/queries/find-route.ts';
import { sendTaskHeartbeat, taskCalls, type TaskCalls } from '../../test/tasks/calls.ts';

const HOUR = 3_600_000;

let test: TestPlane;
let tasks: TaskCalls;

beforeAll(async () => {
  test = await startTestPlane({ env: { MEMBRIDGE_REQUESTS_PER_MINUTE: '100000' } });
  tasks = taskCalls(test);
});
afterAll(async () => await test.stop());

const waits = (body: Record<string, unknown>): Promise<string> =>
  tasks.make({ auto_dispatch: true, ...body });
const reasonOf = async (id: string): Promise<unknown> => (await tasks.get(id)).waiting;
/** Makes a node silent for longer than an online node may be. */
const silence = async (id: string): Promise<void> => {
  await test.plane.deps.db.pool.query(
    'update nodes set last_heartbeat = last_heartbeat - 60000 where id = $1',
    [id],
  );
};
const fail = async (id: string, how: 'fail' | 'cancel'): Promise<void> => {
  if (how === 'cancel') await tasks.post(id, 'cancel', {});
  else {
    await tasks.lease(id);
    await tasks.post(id, 'complete', { status: 'error', error_message: 'no' });
  }
};
const complete = async (id: string): Promise<void> => {
  const lease = await tasks.lease(id);
  expect((await tasks.post(id, 'complete', { ...lease, status: 'success', output: 'x' })).status).toBe(200);
};

describe('a waiting task', () => {
  it('says that it was not dispatched, or must not start yet', async () => {
    expect(await reasonOf(await tasks.make())).toEqual({
      reason: 'waits to be dispatched or leased',
      position: null,
    });
    const id = await waits({ not_before: Date.now() + 60_000 });
    expect(await reasonOf(id)).toMatchObject({
      reason: expect.stringMatching(/^begins in (59|60) s$/) as string,
    });
    const late = await waits({ not_before: Date.now() + HOUR });
    expect(await reasonOf(late)).toMatchObject({ reason: 'begins in 60 minutes' });
    const refused = await tasks.post(late, 'lease', { worker_id: 'w1' });
    expect([refused.status, refused.body['detail']]).toEqual([409, expect.stringContaining('begins in')]);
  });

  it('says that no node has its pool, none of the pool is online, all are drained, or all are busy', async () => {
    const id = await waits({ pool: 'gpu' });
    expect(await reasonOf(id)).toEqual({ reason: 'no node has the label gpu', position: null });
    const plain = await waits({});
    expect(await reasonOf(plain)).toMatchObject({
      reason: expect.stringContaining('the claude CLI') as string,
    });
    const { agent_key: key } = await enrolNode(test, 'g', false);
    const says = { labels: ['gpu'], max_concurrency: 2 };
    await sendTaskHeartbeat(test, key, says);
    expect(await reasonOf(id)).toEqual({
      reason: 'node g asks for pool gpu, which nobody allowed it yet',
      position: null,
    });
    await test.call('PUT', '/api/runtime/workers/g/pools', { body: { pools: ['gpu'] } });
    await silence('g');
    expect(await reasonOf(id)).toEqual({ reason: 'no node of pool gpu is online', position: null });
    expect(await reasonOf(plain)).toEqual({ reason: 'no node of the fleet is online', position: null });
    await sendTaskHeartbeat(test, key, says);
    expect(await reasonOf(id)).toEqual({ reason: 'about to begin', position: 1 });
    await test.call('POST', '/api/runtime/workers/g/drain', { body: { drained: true } });
    expect(await reasonOf(id)).toEqual({
      reason: 'every node of pool gpu that is online is drained',
      position: null,
    });
    await test.call('POST', '/api/runtime/workers/g/drain', { body: { drained: false } });
    for (const prompt of ['one', 'two']) await tasks.lease(await tasks.make({ prompt, pool: 'other' }), 'g');
    expect(await reasonOf(id)).toEqual({ reason: 'all 2 slots of pool gpu are busy', position: 1 });
    const urgent = await waits({ pool: 'gpu', priority: 1 });
    const behind = await waits({ pool: 'gpu', priority: 5 });
    expect([await reasonOf(urgent), await reasonOf(id), await reasonOf(behind)]).toMatchObject([
      { position: 1 },
      { position: 2 },
      { position: 3 },
    ]);
  });

  it('says that its only node is offline, is drained, or has no program', async () => {
    const { agent_key: key } = await enrolNode(test, 'n', false);
    await sendTaskHeartbeat(test, key, {});
    const id = await waits({ worker_id: 'n', pool: 'lonely' });
    expect(await reasonOf(id)).toEqual({ reason: 'about to begin', position: 1 });
    await test.call('POST', '/api/runtime/workers/n/drain', { body: { drained: true } });
    expect(await reasonOf(id)).toMatchObject({ reason: 'node n is drained' });
    await silence('n');
    expect(await reasonOf(id)).toMatchObject({ reason: 'node n is offline' });
    await test.call('POST', '/api/runtime/workers/n/drain', { body: { drained: false } });
    await sendTaskHeartbeat(test, key, { claude_cli: false });
    expect(await reasonOf(id)).toMatchObject({ reason: 'node n has no program to run it with' });
    const refused = await tasks.post(id, 'lease', { worker_id: 'another' });
    expect([refused.status, refused.body['detail']]).toEqual([409, expect.stringContaining('for n alone')]);
  });

  it('says that no node has the clone of its project', async () => {
    const project = await test.call('POST', '/api/runtime/projects', {
      body: { name: 'garden', repo_url: 'https://git.example.org/g' },
    });
    const id = await waits({ project_id: project.body['id'] });
    expect(await reasonOf(id)).toEqual({
      reason: 'no node with a clone of garden is online and takes tasks',
      position: null,
    });
    await test.call('DELETE', `/api/runtime/projects/${String(project.body['id'])}`);
    await tasks.becomes(id, { status: 'failed', error_code: 'project_deleted' }, 45_000);
  });

  it('says that it needs both the pool and the clone, and goes to a node that has both', async () => {
    const { body: project } = await test.call('POST', '/api/runtime/projects', {
      body: { name: 'orchard', repo_url: 'https://git.example.org/o' },
    });
    const projectId = String(project['id']);
    const join = async (node: string, labels: string[], hasClone: boolean): Promise<void> => {
      const { agent_key: key } = await enrolNode(test, node, false);
      await sendTaskHeartbeat(test, key, { labels });
      await test.call('PUT', `/api/runtime/workers/${node}/pools`, { body: { pools: labels } });
      const cloned = `insert into project_node_status (id, project_id, node_id, clone_status, updated_at, workflow_id, run_id)
        values ($2, $1, $2, 'cloned', 1, 'w', 'r')
        on conflict (project_id, node_id) do update set clone_status = 'cloned'`;
      if (hasClone) await test.plane.deps.db.pool.query(cloned, [projectId, node]);
    };
    await join('only-clone', [], true);
    await join('only-label', ['tpu'], false);
    const id = await waits({ project_id: projectId, pool: 'tpu' });
    expect(await reasonOf(id)).toEqual({
      reason: 'no node of pool tpu with a clone of orchard is online and takes tasks',
      position: null,
    });
    const asked = { projectId, pool: 'tpu', contextId: 'c', dependsOn: [] } as unknown as TaskSpec;
    const route = () =>
      test.plane.deps.db.run((sql) => findRoute(sql, { spec: asked, worker: null, now: Date.now() }));
    expect((await route()).project?.nodes).toEqual([]);
    await join('both', ['tpu'], true);
    expect((await route()).project?.nodes).toEqual(['both']);
    await tasks.post(id, 'cancel', {});
  });

  it('says that other tasks are ahead of it', async () => {
    const first = await tasks.make();
    const id = await waits({ depends_on: [first] });
    expect(await reasonOf(id)).toEqual({ reason: `waits for ${first} to complete`, position: null });
    const refused = await tasks.post(id, 'lease', { worker_id: 'w1' });
    expect([refused.status, refused.body['detail']]).toEqual([409, expect.stringContaining(first)]);
  });
});

describe('a task with dependencies', () => {
  it('is ready when they have completed, whether it was created before or after', async () => {
    const [one, two] = [await tasks.make(), await tasks.make()];
    const before = await waits({ pool: 'none', depends_on: [one, two] });
    await complete(one);
    expect(await reasonOf(before)).toMatchObject({ reason: `waits for ${two} to complete` });
    await complete(two);
    await tasks.becomes(before, { waiting: { reason: 'no node has the label none', position: null } });
    const after = await waits({ pool: 'none', depends_on: [one] });
    expect(await reasonOf(after)).toMatchObject({ reason: 'no node has the label none' });
  });

  it.each(['fail', 'cancel'] as const)('fails when one of them does not complete (%s)', async (how) => {
    const first = await tasks.make();
    const before = await waits({ depends_on: [first] });
    await fail(first, how);
    const failed = { status: 'failed', error_code: 'dependency_failed' } as const;
    expect((await tasks.becomes(before, failed)).error_message).toContain(first);
    await tasks.becomes(await waits({ depends_on: [first] }), failed);
    expect(await tasks.story(before)).toEqual(['task_created', 'task_failed']);
  });

  it('fails through a chain of three', async () => {
    const first = await tasks.make();
    const second = await waits({ depends_on: [first] });
    const third = await waits({ depends_on: [second] });
    const fourth = await waits({ depends_on: [third, first] });
    await fail(first, 'fail');
    await tasks.becomes(fourth, { status: 'failed', error_code: 'dependency_failed' });
    expect((await tasks.becomes(third, { status: 'failed' })).error_message).toContain(second);
  });

  it('notices a dependency that ends while the dependent is being created', async () => {
    const rounds = Array.from({ length: 25 }, async (_, n) => {
      const first = await tasks.make();
      const lease = await tasks.lease(first, `w${n}`);
      const status = n % 2 === 0 ? 'success' : 'error';
      const [second] = await Promise.all([
        waits({ pool: 'nowhere', depends_on: [first] }),
        tasks.post(first, 'complete', { ...lease, status }),
      ]);
      return [second, status] as const;
    });
    for (const [id, status] of await Promise.all(rounds)) {
      if (status === 'error') await tasks.becomes(id, { status: 'failed', error_code: 'dependency_failed' });
      else {
        // It continues automatically: it is scheduled, and waits only for a node.
        await expect.poll(() => scheduled(id), { timeout: 20_000 }).toBe(true);
      }
    }
  });

  it('checks its dependencies again when it is queued again', async () => {
    const first = await tasks.make();
    const second = await waits({ pool: 'none', depends_on: [first] });
    await fail(first, 'fail');
    await tasks.becomes(second, { status: 'failed' });
    await tasks.post(first, 'requeue');
    await tasks.post(second, 'requeue');
    await tasks.becomes(second, {
      status: 'queued',
      waiting: { reason: `waits for ${first} to complete`, position: null },
    });
    await complete(first);
    await expect.poll(() => scheduled(second), { timeout: 20_000 }).toBe(true);
  });
});

/** Returns whether a task is in Temporal's queue for agents. */
async function scheduled(id: string): Promise<boolean> {
  const { workflow_id: workflowId } = await tasks.get(id);
  const { raw } = await test.plane.deps.engine.client.workflow.getHandle(workflowId).describe();
  return (raw.pendingActivities ?? []).length > 0;
}
