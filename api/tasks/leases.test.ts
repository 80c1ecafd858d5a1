import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { llmTaskId } from '../../contract/names.ts';
import { startTestPlane, type Answer, type TestPlane } from '../../test/support/control-plane.ts';
import { taskCalls, type TaskCalls } from '../../test/tasks/calls.ts';

let test: TestPlane;
let tasks: TaskCalls;

beforeAll(async () => {
  test = await startTestPlane({ env: { MEMBRIDGE_REQUESTS_PER_MINUTE: '100000' } });
  tasks = taskCalls(test);
});
afterAll(async () => await test.stop());

/** Returns everything that PostgreSQL and Temporal hold about a task: a refused call must not have changed it. */
async function everythingOf(id: string): Promise<string> {
  const { pool } = test.plane.deps.db;
  const all: unknown[] = [];
  for (const [table, column] of [
    ['llm_tasks', 'id'],
    ['leases', 'task_id'],
    ['llm_results', 'task_id'],
    ['runtime_artifacts', 'task_id'],
    ['audit_logs', 'entity_id'],
  ]) {
    const { rows } = await pool.query<{ row: string }>(
      `select row_to_json(t)::text as row from ${table} t where ${column} = $1 order by 1`,
      [id],
    );
    all.push(rows.map(({ row }) => row));
  }
  return JSON.stringify(all);
}

async function expectRefused(id: string, ask: () => Promise<Answer>, what: string): Promise<void> {
  const before = await everythingOf(id);
  const answer = await ask();
  expect([what, answer.status, answer.body['code']]).toEqual([what, 409, 'conflict']);
  expect(await everythingOf(id), what).toBe(before);
}

const done = (output: string): Record<string, unknown> => ({ status: 'success', output });

describe('a worker over HTTP', () => {
  it('leases, sends heartbeats and completes, which stores task, result, artifact and history', async () => {
    const id = await tasks.make({ tags: ['t'], context_id: 'a context' });
    const answer = await tasks.post(id, 'lease', { worker_id: 'w1', ttl_seconds: 60 });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      lease: { task_id: id, worker_id: 'w1', epoch: 1, kind: 'http', ttl_seconds: 60, status: 'active' },
      worker: null,
    });
    expect(await tasks.get(id)).toMatchObject({ status: 'leased', worker_id: 'w1', attempts: 1 });
    // The original's worker sends no body, and then `tokens_used: null`.
    const beat = await tasks.post(id, 'heartbeat');
    expect(beat.status, JSON.stringify(beat.body)).toBe(200);
    expect(beat.body['expires_at']).toBeGreaterThan(Date.now() + 50_000);
    expect((await tasks.get(id)).status).toBe('running');
    const ended = await tasks.post(id, 'complete', {
      status: 'success',
      output: 'the answer',
      metrics: { duration_ms: 12, tokens_used: null },
    });
    expect(ended.status, JSON.stringify(ended.body)).toBe(200);
    expect(ended.body).toMatchObject({
      task: { status: 'completed', worker_id: 'w1', lease_id: (answer.body['lease'] as { id: string }).id },
      artifact: { type: 'LLM_RESULT', tags: ['t'], bytes: 10 },
      result: { status: 'success', output: 'the answer', metrics: { tokens_used: 0, duration_ms: 12 } },
    });
    expect((await tasks.leases(id)).map(({ status, end_reason }) => [status, end_reason])).toEqual([
      ['released', 'completed'],
    ]);
    expect(await tasks.story(id)).toEqual(['task_created', 'task_leased', 'task_started', 'task_completed']);
  });

  it('is refused when it completes twice: one result, one artifact', async () => {
    const id = await tasks.make();
    const lease = await tasks.lease(id);
    const both = await Promise.all([
      tasks.post(id, 'complete', { ...lease, ...done('one') }),
      tasks.post(id, 'complete', { ...lease, ...done('two') }),
    ]);
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
    await expectRefused(id, () => tasks.post(id, 'complete', { ...lease, ...done('three') }), 'again');
    await expectRefused(id, () => tasks.post(id, 'complete', done('four')), 'without a lease');
    await expectRefused(id, () => tasks.post(id, 'heartbeat', lease), 'a late heartbeat');
    await expectRefused(id, () => tasks.post(id, 'release', lease), 'a late release');
    await expectRefused(id, () => tasks.post(id, 'cancel', {}), 'a late cancel');
    await expectRefused(id, () => tasks.post(id, 'requeue'), 'a requeue of what completed');
    expect(await tasks.results(id)).toHaveLength(1);
    expect(await tasks.list(`artifacts?task_id=${id}`)).toHaveLength(1);
  });

  it('changes nothing once its lease is lost', async () => {
    const id = await tasks.make();
    const first = await tasks.lease(id, 'slow', 5);
    await tasks.becomes(id, { status: 'queued', error_code: 'lease_expired' });
    await expectRefused(id, () => tasks.post(id, 'complete', { ...first, ...done('late') }), 'nobody has it');
    const second = await tasks.lease(id, 'quick');
    expect(second.epoch).toBe(2);
    for (const [what, fence] of [
      ['the old lease', first],
      ['the old lease_id', { lease_id: first.lease_id }],
      ['the old epoch', { epoch: 1 }],
      ['no lease', {}],
      ['the worker alone', { worker_id: 'quick' }],
      ['another worker', { lease_id: second.lease_id, worker_id: 'slow' }],
      ['a lease of nobody', { lease_id: 'lease_none' }],
      ['an epoch to come', { epoch: 3 }],
    ] as const) {
      await expectRefused(id, () => tasks.post(id, 'heartbeat', fence), `heartbeat, ${what}`);
      await expectRefused(
        id,
        () => tasks.post(id, 'complete', { ...fence, ...done('x') }),
        `complete, ${what}`,
      );
      await expectRefused(id, () => tasks.post(id, 'release', fence), `release, ${what}`);
    }
    expect((await tasks.post(id, 'complete', { ...second, ...done('in time') })).status).toBe(200);
    expect((await tasks.results(id)).map(({ output, worker_id }) => [output, worker_id])).toEqual([
      ['in time', 'quick'],
    ]);
    expect(await tasks.story(id)).toEqual([
      'task_created',
      'task_leased',
      'lease_expired',
      'task_requeued',
      'task_leased',
      'task_completed',
    ]);
  });

  it('cannot act for another task with its lease', async () => {
    const [mine, other] = [await tasks.make(), await tasks.make()];
    const lease = await tasks.lease(mine);
    await tasks.lease(other, 'w2');
    await expectRefused(other, () => tasks.post(other, 'complete', { ...lease, ...done('x') }), 'complete');
    await expectRefused(
      other,
      () => tasks.post(other, 'heartbeat', { lease_id: lease.lease_id }),
      'heartbeat',
    );
  });

  it('keeps its lease as long as it sends heartbeats', async () => {
    const id = await tasks.make();
    const lease = await tasks.lease(id, 'w1', 5);
    for (const until = Date.now() + 8_000; Date.now() < until; await sleep(1_000)) {
      expect((await tasks.post(id, 'heartbeat', lease)).status).toBe(200);
    }
    expect(await tasks.leases(id)).toMatchObject([{ status: 'active', epoch: 1 }]);
    expect((await tasks.post(id, 'release', { ...lease, reason: 'enough' })).status).toBe(200);
    expect(await tasks.get(id)).toMatchObject({ status: 'queued', attempts: 0, epoch: 1, worker_id: null });
  });

  it('ends the task with a failure, or has it retried until it is dead', async () => {
    const failed = await tasks.make();
    await tasks.lease(failed);
    const answer = await tasks.post(failed, 'complete', { status: 'error', error_message: 'a\0b' });
    expect(answer.body).toMatchObject({
      task: { status: 'failed', error_code: 'worker_error', error_message: 'a b' },
      artifact: null,
      result: { status: 'error' },
    });
    expect((await tasks.post(failed, 'requeue')).body).toMatchObject({ status: 'queued', attempts: 0 });
    const id = await tasks.make({ max_attempts: 2 });
    for (const status of ['queued', 'dead']) {
      const lease = await tasks.lease(id);
      const report = { ...lease, status: 'error', error_message: 'no', retryable: true };
      expect((await tasks.post(id, 'complete', report)).body).toMatchObject({ task: { status } });
      if (status === 'dead') break;
      // Not immediately: a second later.
      const early = await tasks.post(id, 'lease', { worker_id: 'w1' });
      expect([early.status, early.body['detail']]).toEqual([409, expect.stringContaining('begins in')]);
      await tasks.becomes(id, {
        waiting: { reason: 'waits to be dispatched or leased', position: null },
      });
    }
    expect((await tasks.story(id)).slice(-3)).toEqual(['task_leased', 'task_attempt_failed', 'task_dead']);
  });

  it('is refused when it sends too much, and keeps its lease', async () => {
    const id = await tasks.make();
    const lease = await tasks.lease(id);
    for (const wrong of [
      { status: 'maybe' },
      { status: 'success', artifact_type: 'a\nb' },
      { status: 'success', artifact_tags: ['a\0b'] },
      { status: 'success', metrics: { duration_ms: -1 } },
      { status: 'success', metrics: { tokens_used: 1.5 } },
      { status: 'error', error_message: 'x'.repeat(10_001) },
    ]) {
      const answer = await tasks.post(id, 'complete', { ...lease, ...wrong });
      expect([JSON.stringify(wrong).slice(0, 80), answer.status]).toEqual([
        JSON.stringify(wrong).slice(0, 80),
        400,
      ]);
    }
    for (const ttl_seconds of [-1, 86_401]) {
      expect((await tasks.post(id, 'lease', { worker_id: 'w', ttl_seconds })).status).toBe(400);
    }
    const metrics = { duration_ms: 1e12, tokens_used: Number.MAX_SAFE_INTEGER, cost_usd: 1_000_000 };
    const all = await tasks.post(id, 'complete', { ...lease, ...done('a\0b\ud800'), metrics });
    expect(all.status, JSON.stringify(all.body)).toBe(200);
    expect((await tasks.get(id)).status).toBe('completed');
  });
});

describe('fifty workers that want one task', () => {
  it('get one lease between them, and 49 refusals', async () => {
    const id = await tasks.make();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => tasks.post(id, 'lease', { worker_id: `w${n}` })),
    );
    const won = answers.filter(({ status }) => status === 201);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(49);
    expect(won).toHaveLength(1);
    const lease = won[0]?.body['lease'] as { worker_id: string };
    expect(await tasks.get(id)).toMatchObject({ status: 'leased', epoch: 1, worker_id: lease.worker_id });
    expect(await tasks.leases(id)).toHaveLength(1);
  });

  it('also share a task that agents may take', async () => {
    const id = await tasks.make({ auto_dispatch: true });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => tasks.post(id, 'lease', { worker_id: `w${n}` })),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      201,
      ...Array.from({ length: 9 }, () => 409),
    ]);
    expect(await tasks.leases(id)).toHaveLength(1);
  });
});

describe('a workflow of a task', () => {
  it('ends with the task, after a single run', async () => {
    const id = await tasks.make();
    const lease = await tasks.lease(id);
    await tasks.post(id, 'complete', { ...lease, ...done('x') });
    const handle = test.plane.deps.engine.client.workflow.getHandle(llmTaskId(id));
    expect(await handle.result()).toMatchObject({ status: 'completed', lease: null });
    expect((await handle.describe()).runId).toBe((await tasks.get(id)).run_id);
  });
});
