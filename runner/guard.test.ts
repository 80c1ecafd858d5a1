import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isGroupAlive, startTimeOf } from '../git/processes.ts';
import { openGuard, sweepGroups, type Guard } from './guard.ts';
import { inspectTree } from './process-tree.ts';

const { SIGHUP } = constants.signals;

let dir: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'membridge-guard-'));
});
afterEach(() => {
  for (const child of children.splice(0)) killGroup(child.pid);
  rmSync(dir, { recursive: true, force: true });
});

function killGroup(group: number | undefined): void {
  try {
    if (group !== undefined) process.kill(-group, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Starts an idle process group that only SIGKILL ends. */
async function idleGroup(): Promise<number> {
  const source = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')`;
  const child = spawn(process.execPath, ['-e', source], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(child);
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !condition(); await sleep(10)) {
    if (Date.now() > deadline) throw new Error('did not happen within 10 s');
  }
}

/** Returns the pid of this process's guard: its only child that runs `guard-process.ts`. */
async function guardPid(guard: (pid: number) => boolean = () => true): Promise<number> {
  let found: number | undefined;
  await until(() => {
    const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
    found = children
      .map(Number)
      .find((pid) => guard(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('guard-process.ts'));
    return found !== undefined;
  });
  return found ?? 0;
}

/** Returns whether a process has installed a handler for a signal. */
function catches(pid: number, signal: number): boolean {
  const mask = /^SigCgt:\s+([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${mask}`) & (1n << BigInt(signal - 1))) !== 0n;
}

/** Starts an agent to be killed: it opens a guard, starts groups, and prints their numbers. */
async function startAgent(): Promise<{ agent: ChildProcess; guarded: number; removed: number }> {
  const script = join(dir, 'agent.ts');
  writeFileSync(
    script,
    `import { spawn } from 'node:child_process';
     import { openGuard } from ${JSON.stringify(join(import.meta.dirname, 'guard.ts'))};
     const guard = openGuard(${JSON.stringify(dir)});
     const idle = "process.on('SIGTERM', () => {}); require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']); setInterval(() => {}, 1000)";
     const start = () => spawn(process.execPath, ['-e', idle], { detached: true, stdio: 'ignore' }).pid ?? 0;
     const [guarded, removed] = [start(), start()];
     guard.add(guarded);
     guard.add(removed);
     guard.remove(removed);
     console.log(JSON.stringify({ guarded, removed }));
     setInterval(() => {}, 1000);`,
  );
  const agent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(agent);
  const [line] = (await once(createInterface({ input: agent.stdout }), 'line')) as [string];
  const { guarded, removed } = JSON.parse(line) as { guarded: number; removed: number };
  return { agent, guarded, removed };
}

describe('a guard', () => {
  it('kills running groups when the agent is killed, except removed ones', async () => {
    const { agent, guarded, removed } = await startAgent();
    try {
      expect(isGroupAlive(guarded)).toBe(true);
      agent.kill('SIGKILL');
      await until(() => !isGroupAlive(guarded));
      expect(isGroupAlive(removed)).toBe(true);
    } finally {
      killGroup(removed);
      killGroup(guarded);
    }
  });

  it('ends in order with the agent, and ignores signals that would end it', async () => {
    const guard = openGuard(dir);
    const pid = await guardPid();
    const [kept, removed] = [await idleGroup(), await idleGroup()];
    guard.add(kept);
    guard.add(removed);
    guard.remove(removed);
    // The last handler that it installs; Node.js itself handles the next two from its start.
    await until(() => catches(pid, SIGHUP));
    process.kill(pid, 'SIGTERM');
    process.kill(pid, 'SIGINT');
    expect((await inspectTree(pid)).groups).toEqual(new Set([pid]));
    await guard.close();
    await guard.close();
    expect(startTimeOf(pid)).toBeNull();
    await until(() => !isGroupAlive(kept));
    expect(isGroupAlive(removed)).toBe(true);
  });

  it('is replaced when it dies, and the new one knows every group', async () => {
    const guard: Guard = openGuard(dir);
    const first = await guardPid();
    const [one, gone] = [await idleGroup(), await idleGroup()];
    guard.add(one);
    guard.add(gone);
    process.kill(first, 'SIGKILL');
    await until(() => startTimeOf(first) === null);
    guard.remove(gone);
    const second = await guardPid((pid) => pid !== first);
    const two = await idleGroup();
    guard.add(two);
    await guard.close();
    expect(startTimeOf(second)).toBeNull();
    await until(() => !isGroupAlive(one) && !isGroupAlive(two));
    expect(isGroupAlive(gone)).toBe(true);
  });

  it('writes the running groups to a file that only its owner can read', async () => {
    const guard = openGuard(dir);
    const [one, two] = [await idleGroup(), await idleGroup()];
    guard.add(one);
    guard.add(two);
    guard.remove(one);
    guard.add(2 ** 30);
    const path = join(dir, 'running-groups.json');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({
      groups: [{ group: two, start: startTimeOf(two) }],
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    guard.remove(two);
    await guard.close();
    expect(existsSync(path)).toBe(false);
  });

  it('leaves nothing running when it died and is closed before its replacement', async () => {
    const guard = openGuard(dir);
    const pid = await guardPid();
    const one = await idleGroup();
    guard.add(one);
    process.kill(pid, 'SIGKILL');
    await until(() => startTimeOf(pid) === null);
    await guard.close();
    expect(isGroupAlive(one)).toBe(false);
  });
});

describe('a sweep at an agent’s start', () => {
  it('ends groups of a former agent and guard, but no group that merely reuses a number', async () => {
    const [left, stranger] = [await idleGroup(), await idleGroup()];
    const guard = openGuard(dir);
    guard.add(left);
    guard.add(stranger);
    const path = join(dir, 'running-groups.json');
    const written = JSON.parse(readFileSync(path, 'utf8')) as {
      boot: string;
      groups: { group: number; start: string }[];
    };
    guard.remove(left);
    guard.remove(stranger);
    await guard.close();
    const groups = written.groups.map(({ group, start }) => ({
      group,
      start: group === stranger ? String(Number(start) - 1) : start,
    }));
    writeFileSync(path, JSON.stringify({ ...written, groups }));
    expect(await sweepGroups(dir)).toEqual([left]);
    expect(isGroupAlive(left)).toBe(false);
    expect(isGroupAlive(stranger)).toBe(true);
    expect(existsSync(path)).toBe(false);
    // From another boot of the machine: no group is ours.
    const again = { boot: 'another', groups: [{ group: stranger, start: startTimeOf(stranger) }] };
    writeFileSync(path, JSON.stringify(again));
    expect(await sweepGroups(dir)).toEqual([]);
    expect(isGroupAlive(stranger)).toBe(true);
  });

  it('does nothing without a readable file', async () => {
    expect(await sweepGroups(dir)).toEqual([]);
    writeFileSync(join(dir, 'running-groups.json'), '{"groups":[');
    expect(await sweepGroups(dir)).toEqual([]);
  });
});
