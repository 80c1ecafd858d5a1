import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestMachine, type TestMachine } from '../support/agent-machine.ts';
import { startTestPlane, type TestPlane } from '../support/control-plane.ts';
import { taskCalls, type TaskCalls } from './calls.ts';
import { expectDead, isAlive, writeTaskProgram, type TaskProgram } from './program.ts';

/** The shortest lease, in seconds. */
const TTL_SECONDS = 5;
/**
 * How long until another agent has a task after its own one died: the lease, two seconds, and a margin for a busy
 * machine.
 */
const REQUEUED_MS = TTL_SECONDS * 1_000 + 2_000;

let test: TestPlane;
let tasks: TaskCalls;
let folder: string;
let program: TaskProgram;
const agents = new Map<string, TestMachine>();

/** Two real agents with one slot each. */
beforeAll(async () => {
  test = await startTestPlane({ env: { MEMBRIDGE_REQUESTS_PER_MINUTE: '100000' } });
  tasks = taskCalls(test);
  folder = mkdtempSync(join(tmpdir(), 'membridge-task-faults-'));
  program = writeTaskProgram(join(folder, 'program'));
  for (const id of ['a', 'b']) {
    agents.set(id, await startTestMachine(test, { folder, id, observations: 1, env: program.settings }));
  }
});
afterAll(async () => {
  for (const { service } of agents.values()) await service.stop();
  await test.stop();
  rmSync(folder, { recursive: true, force: true });
});

const agent = (id: string): TestMachine => {
  const found = agents.get(id);
  if (found === undefined) throw new Error(`no agent ${id}`);
  return found;
};
const other = (id: string): string => (id === 'a' ? 'b' : 'a');
const make = (prompt: string, body: Record<string, unknown> = {}): Promise<string> =>
  tasks.make({ prompt, auto_dispatch: true, lease_ttl_seconds: TTL_SECONDS, ...body });

/** Expects a task to have completed once, after any number of tries. */
async function expectOnce(id: string, output: string): Promise<void> {
  await tasks.becomes(id, { status: 'completed' });
  const results = await tasks.results(id);
  expect(results.filter(({ status }) => status === 'success').map((each) => each.output)).toEqual([output]);
  const artifacts = await tasks.list<{ type: string }>(`artifacts?task_id=${id}`);
  expect(artifacts.filter(({ type }) => type === 'LLM_RESULT')).toHaveLength(1);
  expect((await tasks.leases(id)).filter(({ status }) => status === 'active')).toEqual([]);
}

/** Blocks everybody who wants to write about a task. @returns a function that lets them continue */
async function holdPostgres(): Promise<() => Promise<void>> {
  const { connectionString } = test.plane.deps.db.pool.options;
  const client = new Client({ connectionString });
  await client.connect();
  await client.query('begin; lock table llm_tasks in exclusive mode');
  return async () => {
    await client.query('rollback');
    await client.end();
  };
}

describe('an agent that is killed', () => {
  it('leaves a task that it was claiming to another node, which runs it once', async () => {
    const first = await make('say first', { context_id: 'claimed' });
    const { node } = await program.started(first);
    await expectOnce(first, 'first');
    const id = await make('say claimed', { not_before: Date.now() + 1_500, context_id: 'claimed' });
    const release = await holdPostgres();
    try {
      // The context's own node takes it, and hangs in its claim.
      await sleep(3_000);
      expect(program.starts(id)).toEqual([]);
      await agent(node).service.kill();
    } finally {
      await release();
    }
    await expectOnce(id, 'claimed');
    expect(program.starts(id).map((start) => start.node)).toEqual([other(node)]);
    await agent(node).service.restart();
  });

  it('loses its running program within a second, and the task runs on another node within its lease', async () => {
    const id = await make('hold killed');
    const first = await program.started(id);
    await agent(first.node).service.kill();
    const killedAt = Date.now();
    await expectDead(first.pids, 1_000);
    const second = await program.started(id, 2);
    expect(second.node).toBe(other(first.node));
    const [, lost] = await tasks.leases(id);
    expect(lost).toMatchObject({ status: 'expired', epoch: 1, worker_id: first.node });
    expect((lost?.ended_at ?? 0) - killedAt).toBeLessThan(REQUEUED_MS);
    program.go('killed');
    await expectOnce(id, 'killed');
    expect(await tasks.get(id)).toMatchObject({ attempts: 2, epoch: 2, worker_id: second.node });
    expect(await tasks.story(id)).toEqual([
      'task_created',
      'task_leased',
      'task_started',
      'lease_expired',
      'task_requeued',
      'task_leased',
      'task_started',
      'task_completed',
    ]);
    await agent(first.node).service.restart();
  });

  it('loses its program even when that has left its process group', async () => {
    const id = await make('family', { max_attempts: 1 });
    const { node, pids } = await program.started(id);
    // It is seen within half a second.
    await sleep(1_500);
    await agent(node).service.kill();
    await expectDead(pids, 1_000);
    await tasks.becomes(id, { status: 'dead', error_code: 'lease_expired' });
    await agent(node).service.restart();
  });

  it('does not keep its task from being cancelled', async () => {
    const id = await make('hold never');
    const { node } = await program.started(id);
    await agent(node).service.kill();
    expect((await tasks.post(id, 'cancel', {})).status).toBe(200);
    expect(await tasks.get(id)).toMatchObject({
      status: 'running',
      cancel_requested_at: expect.any(Number) as number,
    });
    await tasks.becomes(id, { status: 'cancelled', attempts: 1 });
    expect(program.starts(id)).toHaveLength(1);
    await agent(node).service.restart();
  });
});

describe('an agent that is stopped', () => {
  it('gives its task back immediately on an orderly stop, and the attempt does not count', async () => {
    const id = await make('hold given-back', { lease_ttl_seconds: 60 });
    const first = await program.started(id);
    const at = Date.now();
    const stopped = agent(first.node).service.stop();
    const second = await program.started(id, 2);
    expect(Date.now() - at).toBeLessThan(15_000);
    expect(second.node).toBe(other(first.node));
    await stopped;
    expect(first.pids.some((pid) => isAlive(pid))).toBe(false);
    expect(await tasks.get(id)).toMatchObject({ status: 'running', attempts: 1, epoch: 2 });
    expect(await tasks.story(id)).toContain('lease_released');
    program.go('given-back');
    await expectOnce(id, 'given-back');
    await agent(first.node).service.restart();
  });

  it('loses its lease and its program after a longer SIGSTOP, and its report has no effect', async () => {
    const id = await make('hold paused');
    const first = await program.started(id);
    const { pid } = agent(first.node).service;
    process.kill(pid, 'SIGSTOP');
    try {
      const second = await program.started(id, 2);
      expect(second.node).toBe(other(first.node));
      expect(first.pids.some((each) => isAlive(each))).toBe(true);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await expectDead(first.pids, 3_000);
    expect(await tasks.get(id)).toMatchObject({ status: 'running', epoch: 2, worker_id: other(first.node) });
    program.go('paused');
    await expectOnce(id, 'paused');
    // It takes tasks again.
    await expectOnce(await make('say again', { worker_id: first.node }), 'again');
  });

  it('reports without effect when a SIGSTOP after the program’s end outlasts the lease', async () => {
    const id = await make('hold late');
    const first = await program.started(id);
    const { pid } = agent(first.node).service;
    process.kill(pid, 'SIGSTOP');
    try {
      program.go('late');
      await expectDead(first.pids, 5_000);
      await tasks.becomes(id, { status: 'completed', epoch: 2 });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await expectOnce(await make('say after that', { worker_id: first.node }), 'after that');
    await expectOnce(id, 'late');
    expect(await tasks.results(id)).toHaveLength(1);
    expect((await tasks.get(id)).worker_id).toBe(other(first.node));
  });
});
