import { eq } from 'drizzle-orm';
import { ONLINE_WITHIN_MS, type AgentHeartbeat } from '../../contract/nodes.ts';
import type { Database } from '../connect.ts';
import { nodes } from '../schema.ts';
import { toNode } from '../to-contract.ts';
import { emitEvents } from './emit-events.ts';

/**
 * Records that a node reported.
 * @param input.sealingKeyIds the keys that it was encrypted for, today's first; undefined where it does not say (before 0.5)
 * @param input.now the control plane's clock, epoch ms
 * @returns whether the node was away before (never seen, or silent for longer than ONLINE_WITHIN_MS); null when there is
 *   no such node any more
 */
export async function recordHeartbeat(
  db: Database,
  input: { node: string; heartbeat: AgentHeartbeat; sealingKeyIds: string[] | undefined; now: number },
): Promise<{ returned: boolean; drained: boolean } | null> {
  const { facts, memory } = input.heartbeat;
  return await db.transaction(async (tx) => {
    const [before] = await tx
      .select({ last: nodes.last_heartbeat })
      .from(nodes)
      .where(eq(nodes.id, input.node))
      .for('update');
    const [row] = await tx
      .update(nodes)
      .set({
        facts,
        memory,
        last_heartbeat: input.now,
        online: true,
        sealing_key_ids: input.sealingKeyIds ?? null,
      })
      .where(eq(nodes.id, input.node))
      .returning();
    if (before === undefined || row === undefined) return null;
    await emitEvents(tx, [{ type: 'node', node: toNode(row, input.now) }], input.now);
    return {
      returned: before.last === null || input.now - before.last > ONLINE_WITHIN_MS,
      drained: row.drained_at !== null,
    };
  });
}
