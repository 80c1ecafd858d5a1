import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A process that uses a claude-mem database. */
export interface Holder {
  readonly pid: number;
  readonly why: string;
}

/**
 * Processes other than this one that use a claude-mem database: every one that has the file or its -wal open (Linux: /proc), and the worker that `worker.pid` beside it names while that lives. A process of another user cannot be
 * seen; claude-mem and the agent are the same user's.
 * @param path the database; also files that have another name by now are found, by what they are rather than by name
 */
export function holdersOf(path: string): Holder[] {
  // Whoever uses it has the database or its log open. An agent keeps the -shm alone open for good (wal.ts): that uses nothing.
  const files = [path, `${path}-wal`].filter((file) => existsSync(file)).map(identityOf);
  const holders = processes()
    .filter((pid) => pid !== process.pid && hasOpen(pid, new Set(files)))
    .map((pid) => ({ pid, why: `has ${path} open` }));
  const worker = workerBeside(path);
  if (worker !== null && !holders.some(({ pid }) => pid === worker)) {
    holders.push({ pid: worker, why: `is claude-mem's worker by worker.pid` });
  }
  return holders;
}

/** Whether it can be found out here who has a file open. */
export const canSeeHolders = (): boolean => existsSync('/proc/self/fd');

/** How often this process itself has a file open. 0 where that cannot be seen. */
export function timesOpenHere(path: string): number {
  return canSeeHolders() ? openFiles('self').filter((file) => file === identityOf(path)).length : 0;
}

const identityOf = (file: string): string => {
  const { dev, ino } = statSync(file);
  return `${dev}/${ino}`;
};

function processes(): number[] {
  if (!canSeeHolders()) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function hasOpen(pid: number, files: ReadonlySet<string>): boolean {
  return openFiles(pid).some((file) => files.has(file));
}

/** What a process has open, once for each time; nothing when it ended meanwhile or is another user's. */
function openFiles(pid: number | 'self'): string[] {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).flatMap((descriptor) => {
      try {
        return [identityOf(join(folder, descriptor))];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

/** The worker's process id, from the file that it keeps beside its database, while that process lives. */
function workerBeside(path: string): number | null {
  try {
    const { pid } = JSON.parse(readFileSync(join(dirname(path), 'worker.pid'), 'utf8')) as { pid?: unknown };
    if (typeof pid !== 'number' || pid === process.pid) return null;
    process.kill(pid, 0);
    return pid;
  } catch {
    return null;
  }
}
