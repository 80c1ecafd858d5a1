import { eq, inArray } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { nodes, spaceNodeSettings, spaceNodes, spaces } from '../schema.ts';
import { emitEvents, lockEvents } from './emit-events.ts';
import { emitProjects } from './emit-project.ts';
import { findSpaces } from './find-spaces.ts';
import { newEventKey, recordAudit, type AuditBy } from './record-audit.ts';
import { retireKey } from './retire-key.ts';
import { forgetNodeClones } from './record-clone.ts';

/** Removes a node, and with it its key and its part in every space. Gives whether there was one. */
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
    const left = await tx
      .delete(spaceNodes)
      .where(eq(spaceNodes.node_id, input.id))
      .returning({ cid: spaceNodes.cid });
    // What others think of it stays: what it wrote is still in the store.
    const unset = await tx
      .delete(spaceNodeSettings)
      .where(eq(spaceNodeSettings.node_id, input.id))
      .returning({ cid: spaceNodeSettings.cid });
    const projectIds = await forgetNodeClones(tx, input.id);
    const cids = [...left, ...unset].map((row) => row.cid);
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
    const changed = cids.length === 0 ? [] : await findSpaces(tx, inArray(spaces.cid, cids));
    await emitEvents(
      tx,
      [
        { type: 'node-removed', id: input.id },
        ...changed.map((space) => ({ type: 'space' as const, space })),
      ],
      input.now,
    );
    await emitProjects(tx, projectIds, input.now);
    return true;
  });
}
