import Database from 'better-sqlite3';

/** Whether a constraint of claude-mem's tables refused a row: the row waits, the others go on. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Database.SqliteError && error.code.startsWith('SQLITE_CONSTRAINT');
}
