import type { Space } from '../../contract/memory.ts';
import type { Database } from '../connect.ts';
import { findSpaces } from './find-spaces.ts';

/** Every space, by name. */
export async function listSpaces(db: Database): Promise<Space[]> {
  return await db.run((sql) => findSpaces(sql));
}
