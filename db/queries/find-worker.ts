import { and, asc, eq, gte, isNull, sql } from 'drizzle-orm';
import { ONLINE_WITHIN_MS } from '../../contract/nodes/nodes.ts';
import type { Database } from '../connect.ts';
import { leases, nodes } from '../schema.ts';
import type { TaskRow } from '../task-rows.ts';
import { labelCondition } from './label-condition.ts';

/**
 * Returns the node for a lease without a named worker: online, with the pool's label and a free slot. Prefers
 * the node that last served the context, then the one with most free slots.
 * @returns its id, or null when there is none
 */
export async function findFreeWorker(
  db: Database,
  { task, now }: { task: TaskRow; now: number },
): Promise<string | null> {
  const busy = sql<number>`(select count(*) from ${leases} where ${leases.worker_id} = ${nodes.id} and ${leases.status} = 'active')`;
  const slots = sql<number>`(${nodes.facts}->'capabilities'->>'max_concurrency')::int`;
  const served = sql`(select max(${leases.started_at}) from ${leases} where ${leases.worker_id} = ${nodes.id} and ${leases.context_id} = ${task.context_id})`;
  const [row] = await db.run((executor) =>
    executor
      .select({ id: nodes.id })
      .from(nodes)
      .where(
        and(
          gte(nodes.last_heartbeat, now - ONLINE_WITHIN_MS),
          isNull(nodes.drained_at),
          labelCondition(task.pool),
          sql`${busy} < ${slots}`,
          task.requested_worker_id === null ? undefined : eq(nodes.id, task.requested_worker_id),
        ),
      )
      .orderBy(sql`${served} desc nulls last`, sql`${slots} - ${busy} desc`, asc(nodes.id))
      .limit(1),
  );
  return row?.id ?? null;
}
