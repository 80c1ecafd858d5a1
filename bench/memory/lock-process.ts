// Watches from outside which process holds a database's write lock and for how long, in the kernel's list of locks
// (Linux).
import { readFileSync, statSync } from 'node:fs';
import { jobOf, serve } from './program.ts';

/** The byte of the -shm file that the writer of a WAL database locks (SQLite's WAL_WRITE_LOCK). */
const WRITE_LOCK_BYTE = 120;

/** The time between two checks, in milliseconds: the resolution of the figure. */
const LOOK_MS = 1;

// oxlint-disable-next-line typescript/consistent-type-definitions
export type LockCalls = {
  /** Returns the milliseconds of every hold by a process since the last call; a present hold counts when it ends. */
  take(pid: number): number[];
};

const { path } = jobOf() as { path: string };
const inode = statSync(`${path}-shm`).ino;
const holds = new Map<number, number[]>();
let holder: { pid: number; since: number } | null = null;

function look(): void {
  const now = performance.now();
  const pid = holderOf(readFileSync('/proc/locks', 'utf8'));
  if (holder !== null && holder.pid !== pid) {
    const list = holds.get(holder.pid) ?? [];
    list.push(now - holder.since);
    holds.set(holder.pid, list);
    holder = null;
  }
  if (holder === null && pid !== null) holder = { pid, since: now };
  setTimeout(look, LOOK_MS);
}

/** Returns the process that holds the write lock. A line: `1: POSIX  ADVISORY  WRITE 6878 fe:00:9977909 120 120`. */
function holderOf(locks: string): number | null {
  for (const line of locks.split('\n')) {
    const [, , , access, pid, file, from, to] = line.split(/\s+/);
    if (access !== 'WRITE' || !file?.endsWith(`:${inode}`)) continue;
    if (Number(from) <= WRITE_LOCK_BYTE && Number(to) >= WRITE_LOCK_BYTE) return Number(pid);
  }
  return null;
}

look();
const calls: LockCalls = {
  take: (pid) => {
    const list = holds.get(pid) ?? [];
    holds.delete(pid);
    return list;
  },
};
serve(calls, () => undefined);
