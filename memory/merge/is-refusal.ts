import Database from 'better-sqlite3';
import { ZodError } from 'zod';

/**
 * Returns whether claude-mem's tables cannot take an operation, so that it must wait while others continue;
 * nothing of it was written. A damaged full-text index also raises constraint errors, but for its internal
 * tables. That is not a refusal, because every other row would fail as well.
 */
export function isRefusal(error: unknown): error is Error {
  if (error instanceof Database.SqliteError) {
    if (/^SQLITE_(MISMATCH|TOOBIG|RANGE)/.test(error.code)) return true;
    return error.code.startsWith('SQLITE_CONSTRAINT') && !isInternal(error.message);
  }
  return error instanceof SyntaxError || error instanceof ZodError;
}

/** FTS5 does not name the failed constraint of its tables; where SQLite does, the table is internal. */
const isInternal = (message: string): boolean =>
  message === 'constraint failed' || /_(data|idx|docsize|config|content)\./.test(message);
