import { eq, or, sql } from 'drizzle-orm';
import type { Space } from '../../contract/memory/memory.ts';
import type { Database } from '../connect.ts';
import { spaces } from '../schema.ts';
import { findSpaces } from './find-spaces.ts';

/** Returns the space of a current or former canonical id; null when there is none. */
export async function getSpace(db: Database, input: { cid: string }): Promise<Space | null> {
  const { cid } = input;
  const alias = sql`${spaces.aliases} @> ${JSON.stringify([cid])}::jsonb`;
  const found = await db.run((executor) => findSpaces(executor, or(eq(spaces.cid, cid), alias)));
  return found[0] ?? null;
}
