import { inArray } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { settings } from '../schema.ts';

/** Returns settings by key; a key that was never set is absent. */
export async function readSettings<Key extends string>(
  db: Database,
  input: { keys: readonly Key[] },
): Promise<Partial<Record<Key, string>>> {
  const rows = await db.run((sql) =>
    sql
      .select()
      .from(settings)
      .where(inArray(settings.key, [...input.keys])),
  );
  return Object.fromEntries(rows.map(({ key, value }) => [key, value])) as Partial<Record<Key, string>>;
}
