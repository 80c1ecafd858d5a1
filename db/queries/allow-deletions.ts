import { sql } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { allowedDeletions } from '../schema.ts';
import { recordAudit, spaceAuditEntry, type AuditBy } from './record-audit.ts';

/** Lets through, on every machine, the deletions that a node has sent to a space until now. */
export async function allowDeletions(
  db: Database,
  input: { cid: string; node: string; by: AuditBy; now: number },
): Promise<void> {
  const { cid, node, now } = input;
  await db.transaction(async (tx) => {
    await tx
      .insert(allowedDeletions)
      .values({ cid, node_id: node, until: now })
      .onConflictDoUpdate({
        target: [allowedDeletions.cid, allowedDeletions.node_id],
        set: { until: sql`excluded.until` },
      });
    const detail = `deletions by ${node} until now`;
    await recordAudit(tx, [spaceAuditEntry('deletions_allowed', cid, { ...input.by, detail }, now)]);
  });
}
