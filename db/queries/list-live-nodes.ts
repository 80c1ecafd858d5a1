import { asc, gte } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { nodes } from '../schema.ts';

/**
 * Returns ids of the nodes whose last heartbeat is at most `withinMs` old at `now` (epoch milliseconds), in
 * order.
 */
export async function listLiveNodes(
  db: Database,
  input: { withinMs: number; now: number },
): Promise<string[]> {
  const rows = await db.run((sql) =>
    sql
      .select({ id: nodes.id })
      .from(nodes)
      .where(gte(nodes.last_heartbeat, input.now - input.withinMs))
      .orderBy(asc(nodes.id)),
  );
  return rows.map((row) => row.id);
}
