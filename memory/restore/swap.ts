import { existsSync, linkSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { MembridgeError } from '../../contract/errors.ts';
import { sync } from './assemble.ts';
import { canSeeHolders, holdersOf } from '../claude-mem/holders.ts';

/**
 * Refuses while a process uses the database, or where that cannot be found out and nobody vouched for it.
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

/** Where there is no /proc: a database in WAL mode that is open anywhere keeps its -wal. */
const isLocked = (path: string): boolean => existsSync(`${path}-wal`) || existsSync(`${path}-shm`);

/** Moves what the -wal holds into the database and leaves no -wal behind. @throws MembridgeError conflict */
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
 * Puts a restored database in the place of the old one, which stays beside it under another name. There is a whole
 * database at the path at every moment.
 * @param at epoch ms, for the name of the old one
 * @param step called before each step that cannot be seen from outside, for tests
 * @returns where the old database is
 * @throws MembridgeError conflict when somebody opened the old one meanwhile; it is back in its place then
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
  // Whoever opened the old file in the last instant would write where nobody looks.
  const [late] = holdersOf(backup);
  if (late !== undefined || existsSync(`${real}-wal`)) {
    const again = `${real}.putting-back`;
    rmSync(again, { force: true });
    linkSync(backup, again);
    renameSync(again, real);
    rmSync(backup);
    throw new MembridgeError(
      'conflict',
      `${late === undefined ? 'A program' : `Process ${late.pid}`} opened ${real} at the very moment of the restore; the old database is back in its place. Stop claude-mem's worker and try again.`,
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

/** Which file is at a path, for the ledger's note of a restore that is on its way. */
export const fileAt = (path: string): string => {
  const { dev, ino } = statSync(path);
  return `${dev}/${ino}`;
};
