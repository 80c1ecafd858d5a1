import { eq } from 'drizzle-orm';
import type { Space } from '../../contract/memory.ts';
import type { Database } from '../connect.ts';
import { spaces } from '../schema.ts';
import { findSpaces } from './find-spaces.ts';

/** The space of a canonical id, or null. */
export async function getSpace(db: Database, input: { cid: string }): Promise<Space | null> {
  const [space] = await db.run((sql) => findSpaces(sql, eq(spaces.cid, input.cid)));
  return space ?? null;
}

/** The space of a name, or null. */
export async function getSpaceByName(db: Database, input: { name: string }): Promise<Space | null> {
  const [space] = await db.run((sql) => findSpaces(sql, eq(spaces.name, input.name)));
  return space ?? null;
}
