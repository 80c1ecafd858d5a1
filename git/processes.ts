/** Process groups: whether they are alive, and how to end them. */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long a group has to end after SIGTERM, in milliseconds. */
export const TERM_MS = 2_000;

/**
 * How long to wait for a group after SIGKILL, in milliseconds; one that hangs in the kernel is left behind.
 */
const KILL_MS = 5_000;

/** Interval between two checks whether a group is alive, in milliseconds. */
export const CHECK_MS = 20;

/** One process as the system lists it. */
interface Listed {
  readonly group: number;
  readonly dead: boolean;
  /** Its start time as the system writes it; together with the pid it identifies a process uniquely. */
  readonly started: string;
}

/** Returns whether any process of the group runs; ignores zombies. */
export function isGroupAlive(group: number): boolean {
  try {
    process.kill(-group, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  if (process.platform !== 'linux') return true;
  return readdirSync('/proc').some((name) => {
    if (!/^\d+$/.test(name)) return false;
    const listed = look(Number(name));
    return listed !== null && listed.group === group && !listed.dead;
  });
}

/** Ends every process of a group: SIGTERM, then SIGKILL after two seconds. Resolves when none is left. */
export async function endGroup(group: number): Promise<void> {
  // `kill(-1)` is not a group: it signals every process that we may signal.
  if (group < 2) return;
  for (const [signal, ms] of [
    ['SIGTERM', TERM_MS],
    ['SIGKILL', KILL_MS],
  ] as const) {
    try {
      process.kill(-group, signal);
    } catch {
      return;
    }
    const deadline = Date.now() + ms;
    while (Date.now() < deadline) {
      if (!isGroupAlive(group)) return;
      await sleep(CHECK_MS);
    }
  }
}

/** Returns a process's start time as the system writes it; null when it does not run. */
export function startTimeOf(pid: number): string | null {
  const listed = look(pid);
  return listed === null || listed.dead ? null : listed.started;
}

function look(pid: number): Listed | null {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The name in brackets may contain brackets; proc(5): state, ppid, pgrp, …, starttime is the 20th after
      // it.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return { dead: /[ZX]/.test(fields[0] ?? 'X'), group: Number(fields[2]), started: fields[19] ?? '' };
    }
    const columns = ['-o', 'stat=,pgid=,lstart=', '-p', String(pid)];
    const line = execFileSync('ps', columns, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const [state = 'Z', group, ...started] = line.trim().split(/\s+/);
    return { dead: state.startsWith('Z'), group: Number(group), started: started.join(' ') };
  } catch {
    return null;
  }
}
