import { closeSync, existsSync, fdatasyncSync, openSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { MembridgeError } from '../../contract/errors.ts';
import { BUSY_TIMEOUT_MS, requireFile, toMembridgeError } from './failures.ts';
import { shadowOldTables } from './table-form.ts';
import { settleUpgrade } from './settle-upgrade.ts';

export { toMembridgeError } from './failures.ts';

/** Page cache of a connection that reads, in KiB: it reads most rows once, and the system keeps their pages. */
const READING_CACHE_KIB = 4 * 1024;

/**
 * Opens the claude-mem database for reading. Nothing is ever created: a missing file stays missing. Tables of older
 * releases are seen under their newest column names.
 * @throws MembridgeError memory_missing, memory_unreadable, memory_corrupt or memory_locked
 */
export function openForReading(path: string): Database.Database {
  return open(path, true);
}

/**
 * Opens the claude-mem database for the transactions of a merge. Tables of older releases are seen under their newest
 * column names; rows are written by a RowWriter.
 * @param inode the file that is meant
 * @throws MembridgeError memory_missing, memory_unreadable, memory_corrupt, memory_index_damaged or memory_locked; the last also
 *   when another file took its place
 */
export function openForMerging(path: string, inode: number): Database.Database {
  const db = open(path, false);
  try {
    requireSameFile(path, inode);
    guarded(path, () => {
      db.pragma('foreign_keys = ON');
      // The ledger says how rows look that a merge wrote. Were it to outlive them in a power cut, what was lost would count as
      // changed here, and be told to the fleet.
      db.pragma('synchronous = FULL');
    });
    // Raw errors, since this reads a full-text index: the engine looks whether it is damaged.
    settleUpgrade(db, path);
  } catch (error) {
    db.close();
    throw error;
  }
  return db;
}

/** @throws MembridgeError memory_locked when another file took the place of a database, memory_missing when none did */
export function requireSameFile(path: string, inode: number): void {
  requireFile(path);
  guarded(path, () => {
    if (statSync(path).ino === inode) return;
    throw new MembridgeError(
      'memory_locked',
      `${path} was just replaced by another file; the sync tries again.`,
    );
  });
}

function open(path: string, readonly: boolean): Database.Database {
  requireFile(path);
  return guarded(path, () => {
    const db = new Database(path, { readonly, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
    try {
      if (readonly) db.pragma(`cache_size = -${READING_CACHE_KIB}`);
      // The first read tells whether the file is a database at all.
      shadowOldTables(db);
    } catch (error) {
      db.close();
      throw error;
    }
    return db;
  });
}

/**
 * Sees to it that what claude-mem has committed outlives a power cut: its own commits reach the disk some time later. SQLite
 * takes no lock on a write-ahead log, so that opening and closing it here is safe (any other file of the database would lose
 * this process's locks).
 */
export function syncToDisk(path: string): void {
  const log = `${path}-wal`;
  // Without a log every commit is on disk, or was written to the database by a checkpoint, which waits for the disk.
  if (!existsSync(log)) return;
  const file = openSync(log, 'r');
  try {
    fdatasyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Runs work on the claude-mem database and gives its errors their meaning. @throws MembridgeError */
export function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toMembridgeError(path, error);
  }
}
