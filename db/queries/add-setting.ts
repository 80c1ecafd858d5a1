import type { Database } from '../connect.ts';
import { settings } from '../schema.ts';
import { recordAudit, type NewAudit } from './record-audit.ts';

/**
 * Sets a value that is not set yet; leaves an existing one.
 * @param input.audit the audit entry if it was set
 */
export async function addSetting(
  db: Database,
  input: { key: string; value: string; audit: NewAudit },
): Promise<void> {
  const { key, value, audit } = input;
  await db.transaction(async (tx) => {
    const made = await tx
      .insert(settings)
      .values({ key, value })
      .onConflictDoNothing()
      .returning({ key: settings.key });
    if (made.length > 0) await recordAudit(tx, [audit]);
  });
}
