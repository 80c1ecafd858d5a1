/** Process groups: whether one lives, and how it is ended. */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long a group may take to end by itself after SIGTERM, in milliseconds. */
export const TERM_MS = 2_000;

/** How long to wait for a group that was sent SIGKILL, in milliseconds: one that hangs in the kernel is left behind. */
const KILL_MS = 5_000;

/** Between two looks whether a group lives, in milliseconds. */
export const LOOK_MS = 20;

/** One process as the system lists it. */
interface Listed {
  readonly group: number;
  readonly dead: boolean;
  /** When it was started, in the system's own words: with the pid, it names a process for good. */
  readonly started: string;
}

/** Whether any process of the group runs; one that has ended and was not waited for does not count. */
export function groupLives(group: number): boolean {
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

/** Ends every process of a group: SIGTERM, after two seconds SIGKILL. Resolves when none is left. */
export async function endGroup(group: number): Promise<void> {
  // `kill(-1)` is not a group: it reaches everything that we may signal.
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
      if (!groupLives(group)) return;
      await sleep(LOOK_MS);
    }
  }
}

/** When a process was started, in the system's own words; null when it does not run. */
export function startOf(pid: number): string | null {
  const listed = look(pid);
  return listed === null || listed.dead ? null : listed.started;
}

function look(pid: number): Listed | null {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The name in brackets may itself hold brackets; proc(5): state, ppid, pgrp, …, starttime is the 20th after it.
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
