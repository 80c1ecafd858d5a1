import { sql, type SQL } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import { MembridgeError } from '../contract/errors.ts';

/** Returns the end of a page as text for a URL: the time and id of its last row. */
export function cursorOf(at: number, id: string): string {
  return Buffer.from(`${at} ${id}`).toString('base64url');
}

/**
 * Returns SQL for rows after a cursor, newest first.
 * @throws MembridgeError bad_request when the cursor is malformed
 */
export function afterCursor(cursor: string | undefined, at: PgColumn, id: PgColumn): SQL | undefined {
  if (cursor === undefined) return undefined;
  const parsed = /^(\d{1,15}) ([\w:.-]{1,128})$/.exec(Buffer.from(cursor, 'base64url').toString());
  if (parsed === null) {
    throw new MembridgeError(
      'bad_request',
      'The cursor is not valid: take it from X-Next-Cursor of a page.',
      {
        fields: [{ field: 'cursor', problem: 'is none that a page gave' }],
      },
    );
  }
  return sql`(${at}, ${id}) < (${Number(parsed[1])}::bigint, ${parsed[2] ?? ''})`;
}
