import { closeSync, existsSync, fdatasyncSync, openSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { MembridgeError } from '../../contract/errors.ts';
import { BUSY_TIMEOUT_MS, requireFile, toMembridgeError } from './failures.ts';
import { shadowOldTables } from './table-form.ts';
import { settleUpgrade } from './settle-upgrade.ts';

export { toMembridgeError } from './failures.ts';

/**
 * Page cache of a reading connection, in KiB. It reads most rows once, and the operating system caches their
 * pages.
 */
const READING_CACHE_KIB = 4 * 1024;

/**
 * Opens the claude-mem database for reading. Never creates a file. Shows tables of older releases under their
 * newest column names.
 * @throws MembridgeError memory_missing, memory_unreadable, memory_corrupt or memory_locked
 */
export function openForReading(path: string): Database.Database {
  return open(path, true);
}

/**
 * Opens the claude-mem database for a merge's transactions. Shows tables of older releases under their newest
 * column names; a RowWriter writes rows.
 * @param inode the expected file
 * @throws MembridgeError memory_missing, memory_unreadable, memory_corrupt, memory_index_damaged or
 * memory_locked; the last also when another file replaced it
 */
export function openForMerging(path: string, inode: number): Database.Database {
  const db = open(path, false);
  try {
    requireSameFile(path, inode);
    guarded(path, () => {
      db.pragma('foreign_keys = ON');
      // The ledger records how merged rows look. If a power cut lost the rows but kept those records, the
      // loss would count as a local change and be sent to the fleet.
      db.pragma('synchronous = FULL');
    });
    // Raw errors, because this reads a full-text index: the engine checks whether that index is damaged.
    settleUpgrade(db, path);
  } catch (error) {
    db.close();
    throw error;
  }
  return db;
}

/**
 * @throws MembridgeError memory_locked when another file replaced the database, memory_missing when the file
 * is gone
 */
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
      // The first read shows whether the file is a database at all.
      shadowOldTables(db);
    } catch (error) {
      db.close();
      throw error;
    }
    return db;
  });
}

/**
 * Makes claude-mem's committed rows survive a power cut; its own commits reach the disk only later. SQLite
 * takes no lock on the WAL, so opening and closing it here is safe. Closing any other file of the database
 * would drop this process's locks.
 */
export function syncToDisk(path: string): void {
  const log = `${path}-wal`;
  // Without a WAL every commit is on disk already, or a checkpoint wrote it and waited for the disk.
  if (!existsSync(log)) return;
  const file = openSync(log, 'r');
  try {
    fdatasyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Runs work on the claude-mem database and translates its errors.
 * @throws MembridgeError
 */
export function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toMembridgeError(path, error);
  }
}
