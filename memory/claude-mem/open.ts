import { closeSync, existsSync, fdatasyncSync, openSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import { shadowOldTables } from './form.ts';
import { settleUpgrade } from './settle-upgrade.ts';

/** The worker itself waits this long for the lock (claude-mem's own busy_timeout, in milliseconds). */
const BUSY_TIMEOUT_MS = 5_000;

/**
 * Opens the claude-mem database for reading. Nothing is ever created: a missing file stays missing. Tables of older
 * releases are seen under their newest column names.
 * @throws MembridgeError memory_missing, memory_corrupt or memory_locked
 */
export function openForReading(path: string): Database.Database {
  return open(path, true);
}

/**
 * Opens the claude-mem database for the transactions of a merge. Tables of older releases are seen under their newest
 * column names; rows are written by a RowWriter.
 * @param inode the file that is meant
 * @throws MembridgeError memory_missing, memory_corrupt or memory_locked; the last also when another file took its place
 */
export function openForMerging(path: string, inode: number): Database.Database {
  const db = open(path, false);
  if (statSync(path).ino !== inode) {
    db.close();
    throw new MembridgeError(
      'memory_locked',
      `${path} was just replaced by another file; the sync tries again.`,
    );
  }
  db.pragma('foreign_keys = ON');
  // The ledger says how rows look that a merge wrote. Were it to outlive them in a power cut, what was lost would count as
  // changed here, and be told to the fleet.
  db.pragma('synchronous = FULL');
  try {
    guarded(path, () => settleUpgrade(db, path));
  } catch (error) {
    db.close();
    throw error;
  }
  return db;
}

function open(path: string, readonly: boolean): Database.Database {
  if (!existsSync(path)) {
    throw new MembridgeError(
      'memory_missing',
      `There is no claude-mem database at ${path}. Start Claude Code with the claude-mem plugin once, or set CLAUDE_MEM_DB.`,
    );
  }
  return guarded(path, () => {
    const db = new Database(path, { readonly, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
    try {
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

/** Runs work on the claude-mem database and gives SQLite's errors their meaning. */
export function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toMembridgeError(path, error);
  }
}

/** What a SQLite error means for the database at `path`; errors of other kinds pass unchanged. */
export function toMembridgeError(path: string, error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  const { code } = error;
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new MembridgeError(
      'memory_locked',
      `${path} stayed locked by another program for ${BUSY_TIMEOUT_MS / 1_000} s; the sync tries again.`,
      { cause: error },
    );
  }
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return new MembridgeError(
      'memory_corrupt',
      `${path} is damaged (${errorMessage(error)}) and was left untouched. Check it with "PRAGMA integrity_check" and restore it before the next sync.`,
      { cause: error },
    );
  }
  if (code === 'SQLITE_ERROR' && /^no such (column|table)/.test(error.message)) {
    return new MembridgeError(
      'memory_locked',
      `claude-mem changed the tables of ${path} in mid-sync (${error.message}); the sync tries again.`,
      { cause: error },
    );
  }
  if (code === 'SQLITE_CANTOPEN' || code === 'SQLITE_READONLY' || code === 'SQLITE_PERM') {
    return new MembridgeError('memory_missing', `${path} cannot be opened: ${errorMessage(error)}.`, {
      cause: error,
    });
  }
  return error;
}
