import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestMachine, type TestMachine } from '../support/agent-machine.ts';
import { startTestPlane, type TestPlane } from '../support/control-plane.ts';
import { startGitServers, type GitServers } from '../git/servers.ts';
import { SOON, taskCalls, type TaskCalls } from './calls.ts';
import { expectDead, writeTaskProgram, type TaskProgram } from './program.ts';

let test: TestPlane;
let tasks: TaskCalls;
let folder: string;
let program: TaskProgram;
let servers: GitServers;
const agents = new Map<string, TestMachine>();

/** Two real agents with one slot each; `a` serves a second pool, too. */
beforeAll(async () => {
  test = await startTestPlane({ env: { MEMBRIDGE_REQUESTS_PER_MINUTE: '100000' } });
  tasks = taskCalls(test);
  servers = await startGitServers();
  folder = mkdtempSync(join(tmpdir(), 'membridge-task-placement-'));
  program = writeTaskProgram(join(folder, 'program'));
  for (const id of ['a', 'b']) {
    const env = { ...program.settings, MEMBRIDGE_LABELS: id === 'a' ? 'gpu' : '' };
    agents.set(id, await startTestMachine(test, { folder, id, observations: 1, env }));
  }
});
afterAll(async () => {
  for (const { service } of agents.values()) await service.stop();
  await test.stop();
  await servers.stop();
  rmSync(folder, { recursive: true, force: true });
});

const make = (prompt: string, body: Record<string, unknown> = {}): Promise<string> =>
  tasks.make({ prompt, auto_dispatch: true, lease_ttl_seconds: 5, ...body });
const drain = async (id: string, drained: boolean): Promise<void> => {
  expect((await test.call('POST', `/api/runtime/workers/${id}/drain`, { body: { drained } })).status).toBe(
    200,
  );
  // The agent learns of it with its next heartbeat; agents of these tests report soon after a change.
};
const nodesOf = (id: string): string[] => program.starts(id).map(({ node }) => node);

describe('where a task runs', () => {
  it('is the node of its context, and another one when that is gone', async () => {
    const first = await make('say one', { context_id: 'sticky' });
    await tasks.becomes(first, { status: 'completed' });
    const [home = ''] = nodesOf(first);
    for (const n of [1, 2, 3]) {
      const next = await make(`say next ${n}`, { context_id: 'sticky' });
      await tasks.becomes(next, { status: 'completed', worker_id: home });
      expect((await tasks.results(next))[0]?.output).toBe(`next ${n}`);
    }
    await agents.get(home)?.service.stop();
    const moved = await make('say moved', { context_id: 'sticky' });
    await tasks.becomes(moved, { status: 'completed', worker_id: home === 'a' ? 'b' : 'a' });
    await agents.get(home)?.service.restart();
  });

  it('is the named node, even if the task must wait for it', async () => {
    await agents.get('b')?.service.stop();
    const id = await make('say named', { worker_id: 'b' });
    const anywhere = await make('say anywhere');
    await tasks.becomes(anywhere, { status: 'completed', worker_id: 'a' });
    expect(nodesOf(id)).toEqual([]);
    expect((await tasks.get(id)).status).toBe('queued');
    await agents.get('b')?.service.restart();
    await tasks.becomes(id, { status: 'completed', worker_id: 'b' });
  });

  it('is never a drained node, on which running tasks continue', async () => {
    const running = await make('hold drained', { worker_id: 'a' });
    await program.started(running);
    await drain('a', true);
    const named = await make('say for a', { worker_id: 'a' });
    const others = await Promise.all([1, 2, 3].map((n) => make(`say other ${n}`)));
    for (const id of others) await tasks.becomes(id, { status: 'completed', worker_id: 'b' });
    expect((await tasks.get(running)).status).toBe('running');
    program.go('drained');
    await tasks.becomes(running, { status: 'completed' });
    const after = await make('say after');
    await tasks.becomes(after, { status: 'completed', worker_id: 'b' });
    expect(await tasks.get(named)).toMatchObject({
      status: 'queued',
      waiting: { reason: 'node a is drained' },
    });
    await drain('a', false);
    await tasks.becomes(named, { status: 'completed', worker_id: 'a' });
  });

  it('is a node of its pool, as long as a person allows it; running tasks continue', async () => {
    const allow = async (pools: string[]): Promise<void> => {
      const answer = await test.call('PUT', '/api/runtime/workers/a/pools', { body: { pools } });
      expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    };
    const running = await make('hold withdrawn', { pool: 'gpu' });
    await program.started(running);
    await allow([]);
    await expect
      .poll(async () => (await tasks.get(await make('say waits', { pool: 'gpu' }))).waiting?.reason)
      .toBe('node a asks for pool gpu, which nobody allowed it yet');
    const { logFile } = (agents.get('a') as TestMachine).service;
    await expect
      .poll(() => readFileSync(logFile, 'utf8'), { timeout: 20_000 })
      .toContain('this node may not serve the pool any longer');
    expect((await tasks.get(running)).status).toBe('running');
    program.go('withdrawn');
    await tasks.becomes(running, { status: 'completed', worker_id: 'a', attempts: 1 });
    const waits = await make('say later', { pool: 'gpu' });
    await allow(['gpu']);
    await tasks.becomes(waits, { status: 'completed', worker_id: 'a' });
  });

  it('is a node with a clone of its project; without one, the task waits', async () => {
    servers.create('garden');
    const made = await test.call('POST', '/api/runtime/projects', {
      body: { name: 'garden', repo_url: `${servers.open.url}/garden.git` },
    });
    const project = String(made.body['id']);
    const id = await make('say in garden', { project_id: project });
    expect(await tasks.get(id)).toMatchObject({
      status: 'queued',
      waiting: { reason: 'no node with a clone of garden is online and takes tasks' },
    });
    const cloned = await test.call('POST', `/api/runtime/projects/${project}/clone`, {
      body: { node_id: 'b' },
    });
    expect(cloned.status, JSON.stringify(cloned.body)).toBe(200);
    await tasks.becomes(id, { status: 'completed', worker_id: 'b' }, 60_000);
    expect(program.starts(id)[0]?.cwd).toBe(join(folder, 'b', 'projects', 'garden'));
    const plain = await make('say outside');
    await tasks.becomes(plain, { status: 'completed' });
    expect(program.starts(plain)[0]?.cwd).toMatch(/\.membridge\/contexts\//);
  });
});

describe('one slot', () => {
  it('runs one program at a time for two pools, and all their tasks in the end', async () => {
    await drain('b', true);
    const ids = await Promise.all(
      Array.from({ length: 24 }, (_, n) => make('alone', { pool: n % 2 === 0 ? 'gpu' : 'default' })),
    );
    for (const id of ids) await tasks.becomes(id, { status: 'completed', attempts: 1 }, 60_000);
    expect(program.overlapped()).toBe(false);
    await drain('b', false);
  });

  it('goes to urgent tasks first, and alternates between two agent profiles', async () => {
    const busy = await make('hold busy', { pool: 'gpu' });
    await program.started(busy);
    const queued: string[] = [];
    for (const [agent_slug, priority, count] of [
      ['chatty', 3, 6],
      ['quiet', 3, 3],
      ['late', 5, 1],
      ['urgent', 1, 1],
    ] as const) {
      for (let n = 0; n < count; n += 1) {
        queued.push(await make(`say ${agent_slug}`, { pool: 'gpu', agent_slug, priority }));
      }
    }
    const urgent = queued.at(-1) ?? '';
    expect((await tasks.get(urgent)).waiting).toEqual({
      reason: 'the only slot of pool gpu is busy',
      position: 1,
    });
    const before = program.starts().length;
    program.go('busy');
    for (const id of queued) await tasks.becomes(id, { status: 'completed' });
    const order = program
      .starts()
      .slice(before)
      .map(({ verb }) => verb.split(' ').at(-1) ?? '');
    expect(order).toHaveLength(11);
    expect(order[0]).toBe('urgent');
    expect(order.at(-1)).toBe('late');
    // Nine tasks of one priority: the quiet profile's three do not wait behind all six of the other one.
    expect(order.lastIndexOf('quiet')).toBeLessThan(order.lastIndexOf('chatty'));
    expect(order.indexOf('quiet')).toBeLessThanOrEqual(3);
  });
});

describe('a program that exceeds its limits', () => {
  it.each([
    ['memory', 'eat', { memory_mb: 128 }, 'memory_exceeded'],
    ['time', 'hold for-ever', { timeout_sec: 1 }, 'task_timeout'],
    ['output', 'shout', { output_kb: 8 }, 'output_exceeded'],
  ] as const)('(%s) is ended, and the task reports that', async (_what, prompt, policy, code) => {
    const id = await make(prompt, { policy, max_attempts: 1 });
    const { pids } = await program.started(id);
    const ended = await tasks.becomes(id, { error_code: code });
    expect(['failed', 'dead']).toContain(ended.status);
    await expectDead(pids, 1_000);
  });

  it('leaves no child process, near or far, also when it is cancelled', async () => {
    const id = await make('family');
    const { pids } = await program.started(id);
    expect(pids).toHaveLength(3);
    expect((await tasks.post(id, 'cancel', { reason: 'enough' })).status).toBe(200);
    const again = await tasks.post(id, 'cancel', {});
    if (again.status !== 409) expect((await tasks.get(id)).status).toBe('cancelled');
    await tasks.becomes(id, { status: 'cancelled' });
    await expectDead(pids, 1_000);
  });

  it('ends the waiting tasks of its context when it exceeds the budget', async () => {
    const settings = {
      context_budget_usd: 1,
      project_budget_usd: null,
      artifact_days: null,
      output_hours: 24,
    };
    expect((await test.call('PUT', '/api/runtime/task-settings', { body: settings })).status).toBe(200);
    const dear = { context_id: 'dear' };
    await tasks.becomes(await make('cost 0.6', dear), { status: 'completed' });
    const second = await make('cost 0.6', dear);
    await tasks.becomes(second, { status: 'completed' });
    expect((await tasks.results(second))[0]?.metrics.cost_usd).toBe(0.6);
    const third = await make('cost 0.6', dear);
    await tasks.becomes(third, { status: 'failed', error_code: 'budget_exceeded', attempts: 0 });
    expect(program.starts(third)).toEqual([]);
    // Neither may a worker over HTTP begin one.
    const leased = await tasks.make({ prompt: 'p', ...dear });
    expect((await tasks.post(leased, 'lease', { worker_id: 'w1' })).status).toBe(409);
    await tasks.becomes(leased, { status: 'failed', error_code: 'budget_exceeded' });
    expect((await tasks.leases(leased)).filter(({ status }) => status === 'active')).toEqual([]);
    const other = await make('cost 0.6', { context_id: 'another' });
    await expect.poll(() => tasks.get(other), SOON).toMatchObject({ status: 'completed' });
  });
});
