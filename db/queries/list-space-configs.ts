import { asc } from 'drizzle-orm';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { Database } from '../connect.ts';
import { spaces } from '../schema.ts';
import { toSpaceConfig } from '../to-contract.ts';

/** Returns every space as workflows and agents receive it, by name. */
export async function listSpaceConfigs(db: Database): Promise<SpaceConfig[]> {
  const rows = await db.run((sql) => sql.select().from(spaces).orderBy(asc(spaces.name)));
  return rows.map(toSpaceConfig);
}
