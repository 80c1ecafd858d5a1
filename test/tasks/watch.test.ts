import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyRetention } from '../../api/tasks/retention.ts';
import type { Deps } from '../../api/deps.ts';
import { llmTaskId } from '../../contract/names.ts';
import { removeBlobOnce } from '../../db/queries/expire-artifacts.ts';
import { blobKey, getBlob, purgeAside, putBlob, setBlobAside } from '../../storage/blobs.ts';
import { enrolNode, startTestPlane, type Answer, type TestPlane } from '../support/control-plane.ts';
import { fileOutput, insertTestProposal } from '../git/proposals.ts';
import { changedStore } from '../memory/changed-store.ts';

/** The watch counts a workflow as silent 10 s after its end, and checks every 5 s. */
const NOTICED = { timeout: 40_000, interval: 200 };
const SOON = { timeout: 20_000, interval: 50 };
const DAY_MS = 24 * 3_600_000;

let test: TestPlane;
beforeAll(async () => {
  test = await startTestPlane();
});
afterAll(async () => await test.stop());

const tasks = '/api/runtime/llm-tasks';
async function make(body: Record<string, unknown> = {}): Promise<string> {
  const answer = await test.call('POST', tasks, { body: { prompt: 'do it', ...body } });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return String(answer.body['id']);
}
const get = async (id: string): Promise<Answer['body']> => (await test.call('GET', `${tasks}/${id}`)).body;
const post = (id: string, what: string, body: unknown = {}): Promise<Answer> =>
  test.call('POST', `${tasks}/${id}/${what}`, { body });
const leasesOf = async (id: string): Promise<Record<string, unknown>[]> =>
  (await test.call('GET', `${tasks}/${id}/leases`)).body as unknown as Record<string, unknown>[];
const audit = async (entity: string): Promise<Record<string, unknown>[]> => {
  const { rows } = await test.plane.deps.db.pool.query<Record<string, unknown>>(
    'select action, actor, detail, cause from audit_logs where entity_id = $1 order by id',
    [entity],
  );
  return rows;
};

describe('a task whose workflow was terminated', () => {
  it('fails with its lease, is reported, and can be queued again', { timeout: 60_000 }, async () => {
    const id = await make();
    const waits = await make({ depends_on: [id], auto_dispatch: true });
    expect((await post(id, 'lease', { worker_id: 'by-hand', ttl_seconds: 600 })).status).toBe(201);
    const { db, engine } = test.plane.deps;
    await engine.client.workflow.getHandle(llmTaskId(id)).terminate('a test');
    await expect
      .poll(() => get(id), NOTICED)
      .toMatchObject({ status: 'failed', error_code: 'workflow_ended', worker_id: 'by-hand' });
    expect(await leasesOf(id)).toMatchObject([
      { status: 'failed', end_reason: expect.stringContaining('workflow_ended') as string },
    ]);
    expect((await audit(id)).at(-1)).toMatchObject({
      action: 'task_failed',
      actor: 'engine',
      cause: 'its workflow ended as terminated',
    });
    const { rows } = await db.pool.query(
      "select 1 from events where payload->'task'->>'id' = $1 and payload->'task'->>'status' = 'failed' and payload->'lease'->>'status' = 'failed'",
      [id],
    );
    expect(rows).toHaveLength(1);
    // Notified immediately, not at its own next check ten minutes later.
    await expect.poll(() => get(waits), SOON).toMatchObject({ status: 'failed' });
    const before = await get(id);
    expect((await post(id, 'requeue')).body).toMatchObject({ status: 'queued', attempts: 0 });
    const again = await post(id, 'lease', { worker_id: 'by-hand' });
    expect(again.body['lease']).toMatchObject({ epoch: Number(before['epoch']) + 1 });
    expect((await post(id, 'complete', { status: 'success', output: 'done' })).status).toBe(409);
    const done = await post(id, 'complete', { status: 'success', output: 'done', epoch: 2 });
    expect(done.body['task']).toMatchObject({ status: 'completed' });
  });

  it('does not affect others, however long they wait', async () => {
    const id = await make();
    // More than one turn of the watch, and longer than a workflow may be silent.
    await test.plane.deps.db.pool.query('update llm_tasks set updated_at = 1 where id = $1', [id]);
    const other = await make();
    await test.plane.deps.db.pool.query('update llm_tasks set updated_at = 1 where id = $1', [other]);
    await test.plane.deps.engine.client.workflow.getHandle(llmTaskId(other)).terminate('a test');
    await expect.poll(() => get(other), NOTICED).toMatchObject({ status: 'failed' });
    expect(await get(id)).toMatchObject({ status: 'queued' });
  });
});

describe('removing a node', () => {
  it('gives back the tasks that the node holds, unlike draining', async () => {
    await enrolNode(test, 'leaves');
    const id = await make();
    await post(id, 'lease', { worker_id: 'leaves', ttl_seconds: 600 });
    expect(
      (await test.call('POST', '/api/runtime/workers/leaves/drain', { body: { drained: true } })).status,
    ).toBe(200);
    expect(await get(id)).toMatchObject({ status: 'leased', worker_id: 'leaves' });
    expect((await test.call('DELETE', '/api/runtime/workers/leaves')).status).toBe(200);
    expect(await get(id)).toMatchObject({ status: 'queued', attempts: 0, worker_id: null });
    expect(await leasesOf(id)).toMatchObject([{ status: 'released', end_reason: 'the node was removed' }]);
    expect((await audit(id)).at(-1)).toMatchObject({ action: 'lease_released', actor: 'api' });
  });
});

describe('retention', () => {
  /** Makes a task that a worker over HTTP completes with an output. @returns the id of its artifact */
  async function complete(
    output: string,
    body: Record<string, unknown> = {},
  ): Promise<Record<string, unknown>> {
    const id = await make(body);
    await post(id, 'lease', { worker_id: 'by-hand' });
    const { body: done } = await post(id, 'complete', { status: 'success', output });
    return done['artifact'] as Record<string, unknown>;
  }
  const age = async (artifact: unknown, days: number): Promise<void> => {
    await test.plane.deps.db.pool.query('update runtime_artifacts set created_at = $2 where id = $1', [
      artifact,
      Date.now() - days * DAY_MS,
    ]);
  };
  const keepDays = async (days: number | null): Promise<void> => {
    const { body } = await test.call('GET', '/api/runtime/task-settings');
    await test.call('PUT', '/api/runtime/task-settings', { body: { ...body, artifact_days: days } });
  };
  const artifact = (id: unknown, what = ''): Promise<Answer> =>
    test.call('GET', `/api/runtime/artifacts/${String(id)}${what}`);
  const isStored = async (sha256: unknown): Promise<boolean> =>
    (await test.plane.deps.store.get(blobKey(String(sha256)))) !== null;
  const text = (): string => `text ${randomBytes(8).toString('hex')}`;

  it('removes what is older than the retention time, once nothing else refers to it', async () => {
    await keepDays(null);
    const shared = text();
    const [old, young] = [await complete(shared), await complete(shared)];
    const alone = await complete(text());
    expect(young['sha256']).toBe(old['sha256']);
    for (const { id } of [old, alone]) await age(id, 11);
    expect(await applyRetention(test.plane.deps)).toMatchObject({ expired: 0, removed: 0 });
    await keepDays(10);
    expect(await applyRetention(test.plane.deps)).toMatchObject({ expired: 2, removed: 1 });
    expect((await artifact(old['id'])).body).toMatchObject({ url: null, content: null });
    expect((await artifact(old['id'], '/content')).status).toBe(404);
    expect([await isStored(old['sha256']), await isStored(alone['sha256'])]).toEqual([true, false]);
    expect((await artifact(young['id'])).body).toMatchObject({ content: shared });
    expect((await audit(String(alone['task_id']))).at(-1)).toMatchObject({
      action: 'artifact_expired',
      actor: 'engine',
      cause: 'artifacts are kept for 10 days',
    });
    await age(young['id'], 11);
    expect(await applyRetention(test.plane.deps)).toMatchObject({ expired: 1, removed: 1 });
    expect(await isStored(old['sha256'])).toBe(false);
    expect(await applyRetention(test.plane.deps)).toMatchObject({ expired: 0, removed: 0 });
  });

  it('keeps the content of an open proposal', async () => {
    await keepDays(10);
    const id = await insertTestProposal(test.plane.deps, 'proj_x', fileOutput('a.md', text()), {
      now: Date.now() - 11 * DAY_MS,
    });
    expect(await applyRetention(test.plane.deps)).toMatchObject({ expired: 0, removed: 0 });
    await test.plane.deps.db.pool.query("update proposals set status = 'rejected' where id = $1", [id]);
    expect(await applyRetention(test.plane.deps)).toMatchObject({ expired: 1, removed: 1 });
  });

  it('keeps the prompt of a task that has not ended', async () => {
    await keepDays(10);
    const long = text().repeat(4_000);
    const made = await complete(long);
    const id = await make({ prompt: long });
    await age(made['id'], 11);
    expect(await applyRetention(test.plane.deps)).toMatchObject({ expired: 1, removed: 0 });
    expect(await isStored(made['sha256'])).toBe(true);
    await post(id, 'cancel');
    expect(await applyRetention(test.plane.deps)).toMatchObject({ removed: 1 });
    expect(await isStored(made['sha256'])).toBe(false);
    // A new task with the same prompt stores it again.
    await make({ prompt: long });
    expect(await isStored(made['sha256'])).toBe(true);
  });

  it('loses nothing when a worker stored the same content just before', async () => {
    await keepDays(10);
    const { deps } = test.plane;
    const output = text();
    const old = await complete(output);
    await age(old['id'], 11);
    const sha256 = String(old['sha256']);
    const id = await make();
    await post(id, 'lease', { worker_id: 'by-hand' });
    // Retention holds the lock when the worker has stored its bytes and reports: the bytes are set aside between the
    // two.
    let stored: () => void = () => undefined;
    const whenStored = new Promise<void>((resolve) => (stored = resolve));
    let reached: () => void = () => undefined;
    const whenReached = new Promise<void>((resolve) => (reached = resolve));
    const slow = changedStore(deps.store, {
      get: async (key) => {
        if (key === blobKey(sha256)) {
          reached();
          await whenStored;
        }
        return await deps.store.get(key);
      },
    });
    const retained = applyRetention({ ...deps, store: slow });
    await whenReached;
    await putBlob(deps.store, Buffer.from(output));
    const completed = post(id, 'complete', { status: 'success', output });
    // The record waits for the lock; PostgreSQL says so.
    await expect
      .poll(async () => {
        const { rows } = await deps.db.pool.query(
          "select 1 from pg_locks where locktype = 'advisory' and not granted and mode = 'ShareLock' and database = (select oid from pg_database where datname = current_database())",
        );
        return rows.length;
      }, SOON)
      .toBe(1);
    stored();
    expect(await retained).toMatchObject({ expired: 1, removed: 1 });
    const { status, body } = await completed;
    expect(status).toBe(200);
    const made = body['artifact'] as Record<string, unknown>;
    expect(made['sha256']).toBe(sha256);
    expect((await artifact(made['id'])).body).toMatchObject({ content: output });
    // The bytes are not set aside a second time.
    expect(await removeBlobOnce(deps.db, { sha256, now: 1 }, () => setBlobAside(deps.store, sha256))).toBe(
      false,
    );
    expect((await getBlob(deps.store, { sha256, bytes: output.length })).toString()).toBe(output);
  });

  it('continues in the next round with what it could not remove', async () => {
    await keepDays(10);
    const { deps } = test.plane;
    const made = await complete(text());
    await age(made['id'], 11);
    const away: Deps['store'] = changedStore(deps.store, {
      remove: () => Promise.reject(new Error('away')),
    });
    await expect(applyRetention({ ...deps, store: away })).rejects.toThrow('away');
    expect(await isStored(made['sha256'])).toBe(true);
    expect(await applyRetention(deps)).toMatchObject({ expired: 0, removed: 1 });
    expect(await isStored(made['sha256'])).toBe(false);
    expect(await purgeAside(deps.store, Date.now() - DAY_MS)).toBe(0);
    expect(await purgeAside(deps.store, Date.now() + DAY_MS)).toBeGreaterThan(0);
  });

  it('removes live output that is older than the settings say', async () => {
    const { deps } = test.plane;
    const made = await complete(text());
    const open = await make();
    const insert = (id: unknown, seq: number, at: number) =>
      deps.db.pool.query("insert into task_output values ($1, 1, $2, 'stdout', $3, 'x')", [id, seq, at]);
    await insert(made['task_id'], 0, Date.now() - 25 * 3_600_000);
    await insert(made['task_id'], 1, Date.now());
    await insert(open, 0, 1);
    expect(await applyRetention(deps)).toMatchObject({ output: 1 });
    expect(await applyRetention(deps)).toMatchObject({ output: 0 });
  });
});
