import { count, sql } from 'drizzle-orm';
import type { RuntimeStats } from '../../contract/http/api.ts';
import { ONLINE_WITHIN_MS } from '../../contract/nodes/nodes.ts';
import type { Database } from '../connect.ts';
import { llmTasks } from '../schema.ts';

const DAY_MS = 86_400_000;

/**
 * Returns figures of the whole fleet; "24h" looks back from `now` (epoch milliseconds). Counts rows and bytes
 * once per round.
 */
export async function readStats(db: Database, input: { now: number }): Promise<RuntimeStats> {
  const since = input.now - DAY_MS;
  const result = await db.run((executor) =>
    executor.execute<Record<string, number>>(sql`
      with recent as (
        select status, rows_sent + rows_inserted + rows_updated + rows_deleted as rows, bytes_up + bytes_down as bytes,
               row_number() over (partition by workflow_id, finished_at order by id) as part
        from jobs where finished_at >= ${since})
      select (select count(*) from nodes)::int as nodes,
             (select count(*) from nodes where last_heartbeat >= ${input.now - ONLINE_WITHIN_MS})::int as online,
             (select count(*) from spaces)::int as spaces,
             (select count(*) from leases)::int as leases,
             (select count(*) from leases where status = 'active')::int as active,
             (select count(*) from llm_tasks where finished_at >= ${since} and status = 'completed')::int as completed,
             (select count(*) from llm_tasks where finished_at >= ${since} and status in ('failed', 'dead'))::int as failed,
             (select coalesce(sum(cost_usd), 0) from llm_results where completed_at >= ${since})::float8 as cost,
             (select count(*) from jobs where created_at >= ${since})::int as last_24h,
             (select count(*) from recent where status = 'failed')::int as failed_24h,
             (select count(*) from jobs where status = 'running')::int as running,
             (select coalesce(sum(rows), 0) from recent where part = 1)::float8 as rows,
             (select coalesce(sum(bytes), 0) from recent where part = 1)::float8 as bytes`),
  );
  const statuses = await db.run((executor) =>
    executor.select({ status: llmTasks.status, tasks: count() }).from(llmTasks).groupBy(llmTasks.status),
  );
  const row = result.rows[0] ?? {};
  const figure = (name: string): number => row[name] ?? 0;
  return {
    nodes: { total: figure('nodes'), online: figure('online') },
    spaces: figure('spaces'),
    jobs: { last_24h: figure('last_24h'), failed_24h: figure('failed_24h'), running: figure('running') },
    tasks: {
      total: statuses.reduce((sum, { tasks }) => sum + tasks, 0),
      by_status: Object.fromEntries(statuses.map(({ status, tasks }) => [status, tasks])),
      completed_24h: figure('completed'),
      failed_24h: figure('failed'),
      cost_usd_24h: figure('cost'),
    },
    leases: { total: figure('leases'), active: figure('active') },
    workers: { total: figure('nodes'), online: figure('online') },
    rows_synced_24h: figure('rows'),
    bytes_synced_24h: figure('bytes'),
  };
}
