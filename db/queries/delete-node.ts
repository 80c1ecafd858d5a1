import { eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { nodes, spaceNodeSettings, spaceNodes } from '../schema.ts';
import { emitEvents, lockEvents } from './emit-events.ts';
import { emitProjects } from './emit-project.ts';
import { newEventKey, recordAudit, type AuditBy } from './record-audit.ts';
import { retireKey } from './retire-key.ts';
import { forgetNodeClones } from './record-clone.ts';

/** Deletes a node, with its key and its part in every space. Returns whether it existed. */
export async function deleteNode(
  db: Database,
  input: { id: string; now: number; by: AuditBy },
): Promise<boolean> {
  return await db.transaction(async (tx) => {
    const deleted = await tx
      .delete(nodes)
      .where(eq(nodes.id, input.id))
      .returning({ publicKey: nodes.public_key });
    const [gone] = deleted;
    if (gone === undefined) return false;
    await retireKey(tx, { node: input.id, publicKey: gone.publicKey }, input.now);
    await tx.delete(spaceNodes).where(eq(spaceNodes.node_id, input.id));
    // Settings of other nodes about it stay, because what it wrote is still in the store.
    await tx.delete(spaceNodeSettings).where(eq(spaceNodeSettings.node_id, input.id));
    const projectIds = await forgetNodeClones(tx, input.id);
    await recordAudit(tx, [
      {
        eventKey: newEventKey('worker_removed'),
        action: 'worker_removed',
        entity_type: 'worker',
        entity_id: input.id,
        ...input.by,
        detail: `${input.id}, with its key and its part in ${projectIds.length} projects`,
        correlation_id: input.id,
        timestamp: input.now,
      },
    ]);
    await lockEvents(tx);
    await emitEvents(tx, [{ type: 'node-removed', id: input.id }], input.now);
    await emitProjects(tx, projectIds, input.now);
    return true;
  });
}
