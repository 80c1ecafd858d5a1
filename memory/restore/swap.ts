import { existsSync, linkSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { MembridgeError } from '../../contract/errors.ts';
import { sync } from './assemble.ts';
import { canSeeHolders, holdersOf } from '../claude-mem/holders.ts';

/**
 * Throws while a process uses the database, or when that is unknown and nobody confirmed it.
 * @throws MembridgeError conflict, naming the process and what to do
 */
export function refuseWhileUsed(path: string): void {
  const [holder] = holdersOf(path);
  if (holder !== undefined) {
    throw new MembridgeError(
      'conflict',
      `Process ${holder.pid} ${holder.why}. Stop claude-mem's worker and close Claude Code, then try again; nothing was changed.`,
    );
  }
  if (!canSeeHolders() && isLocked(path)) {
    throw new MembridgeError(
      'conflict',
      `${path} is in use. Stop claude-mem's worker and close Claude Code, then try again; nothing was changed.`,
    );
  }
}

/** For systems without /proc: an open database in WAL mode has a -wal. */
const isLocked = (path: string): boolean => existsSync(`${path}-wal`) || existsSync(`${path}-shm`);

/**
 * Moves the contents of the -wal into the database and leaves no -wal behind.
 * @throws MembridgeError conflict
 */
export function settleWal(path: string): void {
  const db = new Database(path, { fileMustExist: true, timeout: 5_000 });
  try {
    db.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    // The last connection to close removes -wal and -shm.
    db.close();
  }
  const left = ['-wal', '-shm'].filter((suffix) => existsSync(`${path}${suffix}`));
  if (left.length > 0) {
    throw new MembridgeError(
      'conflict',
      `${path}${left[0] ?? ''} is still there: another program has the database open. Stop it and try again; nothing was changed.`,
    );
  }
}

/**
 * Replaces the database by a restored one, and keeps the old one beside it under another name. A whole
 * database exists at the path at every moment.
 * @param at epoch milliseconds, for the name of the old one
 * @param step called before each externally invisible step, for tests
 * @returns the path of the old database
 * @throws MembridgeError conflict when a process opened the old one during the swap; then it is back in place
 */
export function swapDatabase(
  path: string,
  restored: string,
  at: number,
  step: (name: string) => void,
): string {
  const real = realpathSync(path);
  const time = new Date(at).toISOString().replaceAll(/[-:]/g, '').replace(/\.\d+/, '');
  let backup = `${real}.before-restore-${time}`;
  for (let n = 2; existsSync(backup); n += 1) backup = `${real}.before-restore-${time}-${n}`;
  refuseWhileUsed(real);
  settleWal(real);
  step('checkpointed');
  linkSync(real, backup);
  sync(dirname(real));
  step('linked');
  refuseOrUnlink(real, backup);
  renameSync(restored, real);
  sync(dirname(real));
  step('renamed');
  // A process that opened the old file at the last moment would write where nobody reads.
  const [late] = holdersOf(backup);
  if (late !== undefined || existsSync(`${real}-wal`)) {
    const again = `${real}.putting-back`;
    rmSync(again, { force: true });
    linkSync(backup, again);
    renameSync(again, real);
    rmSync(backup);
    throw new MembridgeError(
      'conflict',
      `${late === undefined ? 'A program' : `Process ${late.pid}`} opened ${real} during the restore; the old database is back in its place. Stop claude-mem's worker and try again.`,
    );
  }
  return backup;
}

function refuseOrUnlink(real: string, backup: string): void {
  try {
    refuseWhileUsed(real);
  } catch (error) {
    rmSync(backup);
    throw error;
  }
}

/** Identifies the file at a path, for the ledger's record of a pending restore. */
export const fileIdOf = (path: string): string => {
  const { dev, ino } = statSync(path);
  return `${dev}/${ino}`;
};
