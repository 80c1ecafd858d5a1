import { sql as raw } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { settings } from '../schema.ts';
import { recordAudit, type NewAudit } from './record-audit.ts';

/**
 * Sets values by their keys, all or none; other keys stay unchanged.
 * @param input.audit the audit entry
 */
export async function writeSettings(
  db: Database,
  input: { values: Readonly<Record<string, string>>; audit: NewAudit },
): Promise<void> {
  // Always in the same order, so that two writers cannot deadlock.
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
