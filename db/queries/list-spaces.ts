import { asc } from 'drizzle-orm';
import type { Space, SpaceFacts } from '../../contract/memory/memory.ts';
import type { Database } from '../connect.ts';
import { spaces } from '../schema.ts';
import { toSpaceFacts } from '../to-contract.ts';
import { findSpaces } from './find-spaces.ts';

/** Returns every space, by name. */
export async function listSpaces(db: Database): Promise<Space[]> {
  return await db.run((sql) => findSpaces(sql));
}

/** Returns every space, by name, without its nodes. */
export async function listSpaceFacts(db: Database): Promise<SpaceFacts[]> {
  const rows = await db.run((executor) => executor.select().from(spaces).orderBy(asc(spaces.name)));
  return rows.map(toSpaceFacts);
}
