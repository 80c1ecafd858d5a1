import { and, eq, lt } from 'drizzle-orm';
import { ONLINE_WITHIN_MS } from '../../contract/nodes/nodes.ts';
import type { Database } from '../connect.ts';
import { nodes } from '../schema.ts';
import { toNode } from '../to-contract.ts';
import { emitEvents } from './emit-events.ts';

/**
 * Announces the nodes that went silent since the last call, once each for any number of calling processes.
 * @param input.now the control plane's clock, epoch milliseconds
 * @returns their ids
 */
export async function announceOfflineNodes(db: Database, input: { now: number }): Promise<string[]> {
  return await db.transaction(async (tx) => {
    const rows = await tx
      .update(nodes)
      .set({ online: false })
      .where(and(eq(nodes.online, true), lt(nodes.last_heartbeat, input.now - ONLINE_WITHIN_MS)))
      .returning();
    await emitEvents(
      tx,
      rows.map((row) => ({ type: 'node' as const, node: toNode(row, input.now) })),
      input.now,
    );
    return rows.map((row) => row.id);
  });
}
