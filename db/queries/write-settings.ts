import { sql as raw } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { settings } from '../schema.ts';
import { recordAudit, type NewAudit } from './record-audit.ts';

/**
 * Sets values by their keys, all or none; keys that are not named stay as they are.
 * @param input.audit what is told of it
 */
export async function writeSettings(
  db: Database,
  input: { values: Readonly<Record<string, string>>; audit: NewAudit },
): Promise<void> {
  // In one order everywhere, so that two writers cannot wait for each other.
  const rows = Object.entries(input.values)
    .map(([key, value]) => ({ key, value }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  if (rows.length === 0) return;
  await db.transaction(async (tx) => {
    await tx
      .insert(settings)
      .values(rows)
      .onConflictDoUpdate({ target: settings.key, set: { value: raw`excluded.value` } });
    await recordAudit(tx, [input.audit]);
  });
}
