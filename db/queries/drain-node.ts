import { eq } from 'drizzle-orm';
import type { Node } from '../../contract/nodes/nodes.ts';
import type { Database } from '../connect.ts';
import { nodes } from '../schema.ts';
import { toNode } from '../to-contract.ts';
import { emitEvents } from './emit-events.ts';
import { recordAudit } from './record-audit.ts';

/**
 * Stops giving a node new tasks, or resumes it.
 * @returns the node as it is now; null when it does not exist
 */
export async function drainNode(
  db: Database,
  input: { id: string; drained: boolean; by: string; now: number },
): Promise<Node | null> {
  const { id, drained, by, now } = input;
  return await db.transaction(async (tx) => {
    const [before] = await tx.select().from(nodes).where(eq(nodes.id, id)).for('update');
    if (before === undefined) return null;
    if ((before.drained_at !== null) === drained) return toNode(before, now);
    const [row] = await tx
      .update(nodes)
      .set({ drained_at: drained ? now : null })
      .where(eq(nodes.id, id))
      .returning();
    if (row === undefined) return null;
    await recordAudit(tx, [
      {
        eventKey: `${id}:drained:${drained}:${now}`,
        action: drained ? 'worker_drained' : 'worker_undrained',
        entity_type: 'worker',
        entity_id: id,
        actor: by,
        detail: drained ? 'it is given no new tasks' : 'it takes tasks again',
        cause: 'it was asked for',
        correlation_id: id,
        timestamp: now,
      },
    ]);
    const node = toNode(row, now);
    await emitEvents(tx, [{ type: 'node', node }], now);
    return node;
  });
}
