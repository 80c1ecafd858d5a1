import { sql } from 'drizzle-orm';
import type { RuntimeStats } from '../../contract/api.ts';
import { ONLINE_WITHIN_MS } from '../../contract/nodes.ts';
import type { Database } from '../connect.ts';

const DAY_MS = 86_400_000;

/** Figures of the whole fleet; "24h" looks back from `now` (epoch ms). Rows and bytes are counted once a round. */
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
             (select count(*) from jobs where created_at >= ${since})::int as last_24h,
             (select count(*) from recent where status = 'failed')::int as failed_24h,
             (select count(*) from jobs where status = 'running')::int as running,
             (select coalesce(sum(rows), 0) from recent where part = 1)::float8 as rows,
             (select coalesce(sum(bytes), 0) from recent where part = 1)::float8 as bytes`),
  );
  const row = result.rows[0] ?? {};
  const figure = (name: string): number => row[name] ?? 0;
  return {
    nodes: { total: figure('nodes'), online: figure('online') },
    spaces: figure('spaces'),
    jobs: { last_24h: figure('last_24h'), failed_24h: figure('failed_24h'), running: figure('running') },
    rows_synced_24h: figure('rows'),
    bytes_synced_24h: figure('bytes'),
  };
}
