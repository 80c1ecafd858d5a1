import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A process that uses a claude-mem database. */
export interface Holder {
  readonly pid: number;
  readonly why: string;
}

/**
 * Returns processes other than this one that use a claude-mem database. These have the file or its -wal open
 * (Linux: /proc), or are the live worker that `worker.pid` beside it names. Processes of other users are
 * invisible; claude-mem and the agent run as the same user.
 * @param path the database; files are compared by identity, so renamed ones are found too
 */
export function holdersOf(path: string): Holder[] {
  // Every user of the database has it or its WAL open. The agent keeps only the -shm open permanently
  // (wal.ts), which does not count as use.
  const files = [path, `${path}-wal`].filter((file) => existsSync(file)).map(identityOf);
  const holders = listProcesses()
    .filter((pid) => pid !== process.pid && hasOpen(pid, new Set(files)))
    .map((pid) => ({ pid, why: `has ${path} open` }));
  const worker = findWorkerBeside(path);
  if (worker !== null && !holders.some(({ pid }) => pid === worker)) {
    holders.push({ pid: worker, why: `is claude-mem's worker by worker.pid` });
  }
  return holders;
}

/** Returns whether this system shows which processes have a file open. */
export const canSeeHolders = (): boolean => existsSync('/proc/self/fd');

/** Returns how many times this process has a file open; 0 if unknown. */
export function countOwnHandles(path: string): number {
  return canSeeHolders() ? openFiles('self').filter((file) => file === identityOf(path)).length : 0;
}

const identityOf = (file: string): string => {
  const { dev, ino } = statSync(file);
  return `${dev}/${ino}`;
};

function listProcesses(): number[] {
  if (!canSeeHolders()) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function hasOpen(pid: number, files: ReadonlySet<string>): boolean {
  return openFiles(pid).some((file) => files.has(file));
}

/** Returns every open file of a process; nothing when it has ended or belongs to another user. */
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

/** Returns the process id from the worker's file beside the database, while that process lives. */
function findWorkerBeside(path: string): number | null {
  try {
    const { pid } = JSON.parse(readFileSync(join(dirname(path), 'worker.pid'), 'utf8')) as { pid?: unknown };
    if (typeof pid !== 'number' || pid === process.pid) return null;
    process.kill(pid, 0);
    return pid;
  } catch {
    return null;
  }
}
