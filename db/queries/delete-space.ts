import { eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { originalNodes, spaceNodeSettings, spaceNodes, spaces } from '../schema.ts';
import { emitEvents } from './emit-events.ts';
import { recordAudit, spaceAuditEntry, type AuditBy } from './record-audit.ts';

/** Deletes a space and the records of its nodes; its jobs stay as history. Returns whether it existed. */
export async function deleteSpace(
  db: Database,
  input: { cid: string; now: number; by: AuditBy },
): Promise<boolean> {
  return await db.transaction(async (tx) => {
    const [deleted] = await tx
      .delete(spaces)
      .where(eq(spaces.cid, input.cid))
      .returning({ name: spaces.name });
    if (deleted === undefined) return false;
    await tx.delete(spaceNodes).where(eq(spaceNodes.cid, input.cid));
    await tx.delete(spaceNodeSettings).where(eq(spaceNodeSettings.cid, input.cid));
    await tx.delete(originalNodes).where(eq(originalNodes.cid, input.cid));
    await recordAudit(tx, [
      spaceAuditEntry('space_deleted', input.cid, { ...input.by, detail: deleted.name }, input.now),
    ]);
    await emitEvents(tx, [{ type: 'space-removed', canonical_id: input.cid }], input.now);
    return true;
  });
}
