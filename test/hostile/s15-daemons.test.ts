import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findDebianProgram } from '../../stack/tools.ts';
import { startTestMachine, type TestMachine } from '../support/agent-machine.ts';
import { startTestPlane, type TestPlane } from '../support/control-plane.ts';
import { processesWith } from '../tasks/sandboxed-node.ts';
import { taskCalls, type TaskCalls } from '../tasks/calls.ts';

/** The shortest lease, in seconds. */
const TTL_SECONDS = 5;

let test: TestPlane;
let tasks: TaskCalls;
let folder: string;
const machines = new Map<string, TestMachine>();

/** Two machines whose tasks are shell scripts; the agent of one of them runs them without a sandbox. */
beforeAll(async () => {
  findDebianProgram('bubblewrap', (line) => process.stderr.write(`${line}\n`));
  test = await startTestPlane({ env: { MEMBRIDGE_REQUESTS_PER_MINUTE: '100000' } });
  tasks = taskCalls(test);
  folder = mkdtempSync(join(tmpdir(), 'membridge-daemons-'));
  for (const [id, mode] of [
    ['enclosed', 'bubblewrap'],
    ['open', 'none'],
  ] as const) {
    const env = { MEMBRIDGE_RUNNER: '["sh"]', MEMBRIDGE_TASK_SANDBOX: mode };
    machines.set(id, await startTestMachine(test, { folder, id, observations: 1, env }));
  }
});
afterAll(async () => {
  for (const { service } of machines.values()) await service.stop();
  await test.stop();
  rmSync(folder, { recursive: true, force: true });
});

const machine = (id: string): TestMachine => {
  const found = machines.get(id);
  if (found === undefined) throw new Error(`no machine ${id}`);
  return found;
};

/** Returns what a daemon wrote: it writes until it is dead. */
function beats(name: string): string {
  const [file] = globSync(join(folder, '*', '.membridge', 'contexts', '*', `beat-${name}`));
  return file === undefined ? '' : readFileSync(file, 'utf8');
}

/**
 * Makes a node run a program that leaves a daemon. The daemon is forked twice, in its own session, with an empty
 * environment and no open stream.
 * @param then what the program does once its daemon runs
 * @returns the task, once the daemon runs
 */
async function leaveDaemon(name: string, then: string, body: Record<string, unknown> = {}): Promise<string> {
  const daemon = `( while :; do echo x >> beat-${name}; sleep 0.05; done ) &`;
  const prompt = `( env -i PATH="$PATH" setsid sh -c '${daemon}' < /dev/null > /dev/null 2>&1 & )
while [ ! -s beat-${name} ]; do sleep 0.02; done
${then}`;
  const id = await tasks.make({
    prompt,
    auto_dispatch: true,
    worker_id: 'enclosed',
    max_attempts: 1,
    lease_ttl_seconds: TTL_SECONDS,
    ...body,
  });
  await expect.poll(() => beats(name), { timeout: 30_000, interval: 20 }).not.toBe('');
  return id;
}

/** Expects that no process of a daemon runs, and that it has stopped writing. */
async function expectGone(name: string, within: number): Promise<void> {
  await expect.poll(() => processesWith(`beat-${name}`), { timeout: within, interval: 20 }).toEqual([]);
  const written = beats(name);
  await sleep(300);
  expect(beats(name)).toBe(written);
}

describe('S15: a daemon that a program leaves', () => {
  it('is gone when the program has succeeded', async () => {
    const id = await leaveDaemon('ended', 'echo fine');
    await tasks.becomes(id, { status: 'completed' });
    await expectGone('ended', 100);
    expect((await tasks.results(id)).map(({ output }) => output)).toEqual(['fine\n']);
  });

  it('is gone when the program has failed', async () => {
    const id = await leaveDaemon('failed', 'exit 3');
    await tasks.becomes(id, { status: 'dead' });
    await expectGone('failed', 100);
  });

  it('is gone when the task is cancelled', async () => {
    const id = await leaveDaemon('cancelled', 'sleep 600');
    expect(processesWith('beat-cancelled')).not.toEqual([]);
    expect((await tasks.post(id, 'cancel', {})).status).toBe(200);
    await tasks.becomes(id, { status: 'cancelled' });
    await expectGone('cancelled', 100);
  });

  it('is gone when the task has taken too long', async () => {
    const id = await leaveDaemon('late', 'sleep 600', { policy: { timeout_sec: 2 } });
    await tasks.becomes(id, { status: 'dead', error_code: 'task_timeout' });
    await expectGone('late', 100);
  });

  it('counts for the memory limit, and is gone when that is reached', async () => {
    const eat = `${process.execPath} -e "const held = []; setInterval(() => held.push(Buffer.alloc(16 * 2 ** 20, 1)), 20)"`;
    const id = await leaveDaemon(
      'hungry',
      `( env -i setsid ${eat} beat-hungry < /dev/null > /dev/null 2>&1 & )\nsleep 600`,
      { policy: { memory_mb: 300 } },
    );
    await tasks.becomes(id, { status: 'failed', error_code: 'memory_exceeded' });
    await expectGone('hungry', 100);
  });

  it('is gone before a lease that the node could not renew passes to another node', async () => {
    const id = await leaveDaemon('lost', 'sleep 600');
    const { pid } = machine('enclosed').service;
    process.kill(pid, 'SIGSTOP');
    try {
      await tasks.becomes(id, { status: 'dead', error_code: 'lease_expired' });
      expect(processesWith('beat-lost')).not.toEqual([]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await expectGone('lost', 3_000);
  });

  it('is gone within a second when the agent is killed', async () => {
    const id = await leaveDaemon('orphan', 'sleep 600');
    await machine('enclosed').service.kill();
    await expectGone('orphan', 1_000);
    await tasks.becomes(id, { status: 'dead' });
    await machine('enclosed').service.restart();
  });

  it('stays when tasks run without a sandbox, which shows that these tests can fail', async () => {
    const id = await leaveDaemon('open', 'echo fine', { worker_id: 'open' });
    await tasks.becomes(id, { status: 'completed' });
    await sleep(500);
    const left = processesWith('beat-open');
    for (const pid of left) process.kill(pid, 'SIGKILL');
    expect(left).not.toEqual([]);
  });
});

describe('S15: a program in a sandbox', () => {
  it('may end by SIGTERM in its own way when its task is cancelled', async () => {
    const id = await leaveDaemon(
      'tidy',
      `trap 'echo tidied > beat-tidied; exit 0' TERM\nwhile :; do sleep 0.05; done`,
    );
    await tasks.post(id, 'cancel', {});
    await tasks.becomes(id, { status: 'cancelled' });
    expect(beats('tidied')).toBe('tidied\n');
    await expectGone('tidy', 100);
  });

  it('is ended when it ignores SIGTERM', async () => {
    const id = await leaveDaemon('deaf', `trap '' TERM\nwhile :; do sleep 0.05; done`);
    await tasks.post(id, 'cancel', {});
    await tasks.becomes(id, { status: 'cancelled' });
    await expectGone('deaf', 100);
  });
});

describe('S15: a node', () => {
  const told = async (id: string): Promise<unknown> =>
    (await tasks.list<{ id: string; task_sandbox: unknown }>('workers')).find((node) => node.id === id)
      ?.task_sandbox;

  it('reports to the page and in doctor that its tasks run in a sandbox', async () => {
    await expect
      .poll(() => told('enclosed'), { timeout: 15_000 })
      .toEqual({ mode: 'bubblewrap', refuses: false, detail: null });
    expect((await machine('enclosed').cli('doctor')).stdout).toContain(
      'ok      task sandbox: tasks run in bubblewrap',
    );
  });

  it('reports to the page and in doctor that nothing isolates its tasks, and what to do', async () => {
    const detail = expect.stringContaining('Remove MEMBRIDGE_TASK_SANDBOX=none') as string;
    await expect
      .poll(() => told('open'), { timeout: 15_000 })
      .toEqual({ mode: 'none', refuses: false, detail });
    expect((await machine('open').cli('doctor')).stdout).toMatch(
      /note {4}task sandbox: Without a sandbox .*MEMBRIDGE_TASK_SANDBOX=none/,
    );
  });

  it('takes no tasks and says so when it should have a sandbox and has none', async () => {
    // A PATH on which there is a shell, and no bubblewrap.
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    symlinkSync('/bin/sh', join(bin, 'sh'));
    const env = { MEMBRIDGE_RUNNER: '["sh"]', MEMBRIDGE_TASK_SANDBOX: 'bubblewrap', PATH: bin };
    const refusing = await startTestMachine(test, { folder, id: 'refusing', observations: 1, env });
    try {
      await expect
        .poll(() => told('refusing'), { timeout: 15_000 })
        .toMatchObject({ mode: 'none', refuses: true });
      const id = await tasks.make({ prompt: 'true', auto_dispatch: true, worker_id: 'refusing' });
      await sleep(1_500);
      expect(await tasks.get(id)).toMatchObject({ status: 'queued', attempts: 0 });
      const doctor = await refusing.cli('doctor');
      expect(doctor.stdout).toMatch(/FAILED {2}task sandbox: This node takes no tasks: .*is not installed/);
      expect(doctor.code).toBe(1);
    } finally {
      await refusing.service.stop();
    }
  });
});
