import Database from 'better-sqlite3';
import { ZodError } from 'zod';

/**
 * Whether what an operation says cannot be put into claude-mem's tables: it waits, the others go on. Nothing of it has been
 * written then.
 */
export function isRefusal(error: unknown): error is Error {
  if (error instanceof Database.SqliteError) {
    return /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|RANGE)/.test(error.code);
  }
  return error instanceof SyntaxError || error instanceof ZodError;
}
