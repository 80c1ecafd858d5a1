import Database from 'better-sqlite3';
import { ZodError } from 'zod';

/**
 * Whether claude-mem's tables cannot take what an operation says: it waits, the others go on. Nothing of it has been written
 * then. A damaged full-text index refuses rows with constraint errors too, but of its own internal tables: that is no refusal,
 * since every other row would meet it.
 */
export function isRefusal(error: unknown): error is Error {
  if (error instanceof Database.SqliteError) {
    if (/^SQLITE_(MISMATCH|TOOBIG|RANGE)/.test(error.code)) return true;
    return error.code.startsWith('SQLITE_CONSTRAINT') && !isInternal(error.message);
  }
  return error instanceof SyntaxError || error instanceof ZodError;
}

/** FTS5 does not pass on which of its constraints failed; where SQLite does, the table is an internal one. */
const isInternal = (message: string): boolean =>
  message === 'constraint failed' || /_(data|idx|docsize|config|content)\./.test(message);
