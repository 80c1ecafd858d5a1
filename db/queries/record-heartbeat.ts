import { isDeepStrictEqual } from 'node:util';
import { eq, gt } from 'drizzle-orm';
import { ONLINE_WITHIN_MS, type AgentHeartbeat } from '../../contract/nodes/nodes.ts';
import type { Database } from '../connect.ts';
import { nodes } from '../schema.ts';
import { toNode } from '../to-contract.ts';
import { emitEvents } from './emit-events.ts';

/**
 * Records a node's report.
 * @param input.sealingKeyIds the keys that it was encrypted for, the current one first; undefined from agents
 * before 0.5
 * @param input.now the control plane's clock, epoch milliseconds
 * @returns whether the node was away before (never seen, or silent for longer than ONLINE_WITHIN_MS); null
 * when the node no longer exists
 */
export async function recordHeartbeat(
  db: Database,
  input: { node: string; heartbeat: AgentHeartbeat; sealingKeyIds: string[] | undefined; now: number },
): Promise<{ returned: boolean; drained: boolean; pools: string[] } | null> {
  const { facts, memory } = input.heartbeat;
  return await db.transaction(async (tx) => {
    const [before] = await tx
      .select({ last: nodes.last_heartbeat, online: nodes.online, facts: nodes.facts, memory: nodes.memory })
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
    const returned = before.last === null || input.now - before.last > ONLINE_WITHIN_MS;
    // Browsers receive reporting nodes once a second (api/nodes/heartbeats.ts). A thousand nodes report a hundred
    // times a second; as events, these would push out all others within a minute.
    if (returned || !before.online || isNews(before, input.heartbeat)) {
      await emitEvents(tx, [{ type: 'node', node: toNode(row, input.now) }], input.now);
    }
    return {
      returned,
      drained: row.drained_at !== null,
      pools: row.pools,
    };
  });
}

/**
 * Every report has a new time of the last database check. Browsers receive that time this often, in
 * milliseconds.
 */
const CHECK_TIME_NEWS_MS = 300_000;

/** Returns whether a report differs from the last one. */
function isNews(
  before: { facts: unknown; memory: AgentHeartbeat['memory'] | null },
  { facts, memory }: AgentHeartbeat,
): boolean {
  const told = (state: typeof before.memory): unknown =>
    state === null ? null : { ...state, checkedAt: Math.floor(state.checkedAt / CHECK_TIME_NEWS_MS) };
  // PostgreSQL stores no undefined values.
  const kept = JSON.parse(JSON.stringify([facts, told(memory)])) as unknown;
  return !isDeepStrictEqual([before.facts, told(before.memory)], kept);
}

/** Returns when nodes reported that did so after `since` (epoch milliseconds). */
export async function listHeartbeats(
  db: Database,
  input: { since: number },
): Promise<{ id: string; at: number }[]> {
  const rows = await db.run((sql) =>
    sql
      .select({ id: nodes.id, at: nodes.last_heartbeat })
      .from(nodes)
      .where(gt(nodes.last_heartbeat, input.since)),
  );
  return rows.flatMap(({ id, at }) => (at === null ? [] : [{ id, at }]));
}
