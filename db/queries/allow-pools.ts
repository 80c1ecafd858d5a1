import { eq } from 'drizzle-orm';
import type { Node } from '../../contract/nodes/nodes.ts';
import type { Database } from '../connect.ts';
import { nodes } from '../schema.ts';
import { toNode } from '../to-contract.ts';
import { emitEvents } from './emit-events.ts';
import { newEventKey, recordAudit, type AuditBy } from './record-audit.ts';

/**
 * Sets the pools that a node may serve besides the default one.
 * @returns the node as it is now; null when it does not exist
 */
export async function allowPools(
  db: Database,
  input: { id: string; pools: readonly string[]; by: AuditBy; now: number },
): Promise<Node | null> {
  const { id, by, now } = input;
  const pools = [...new Set(input.pools)].toSorted();
  return await db.transaction(async (tx) => {
    const [before] = await tx.select().from(nodes).where(eq(nodes.id, id)).for('update');
    if (before === undefined) return null;
    const added = pools.filter((pool) => !before.pools.includes(pool));
    const withdrawn = before.pools.filter((pool) => !pools.includes(pool));
    if (added.length === 0 && withdrawn.length === 0) return toNode(before, now);
    const [row] = await tx.update(nodes).set({ pools }).where(eq(nodes.id, id)).returning();
    if (row === undefined) return null;
    await recordAudit(tx, [
      {
        eventKey: newEventKey('worker_pools_changed'),
        action: 'worker_pools_changed',
        entity_type: 'worker',
        entity_id: id,
        ...by,
        detail: [
          ...(added.length === 0 ? [] : [`it may serve ${added.join(', ')}`]),
          ...(withdrawn.length === 0 ? [] : [`it may not serve ${withdrawn.join(', ')}`]),
        ].join('; '),
        correlation_id: id,
        timestamp: now,
      },
    ]);
    const node = toNode(row, now);
    await emitEvents(tx, [{ type: 'node', node }], now);
    return node;
  });
}
