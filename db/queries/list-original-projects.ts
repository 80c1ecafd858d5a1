import { sql } from 'drizzle-orm';
import type { z } from 'zod';
import type { OriginalProject } from '../../contract/api.ts';
import type { Database } from '../connect.ts';

/** Every space in the shape of the original's `GET /projects`, by name. */
export async function listOriginalProjects(db: Database): Promise<z.infer<typeof OriginalProject>[]> {
  // bigint comes as text from a raw statement, so the numbers are cast to double precision.
  const result = await db.run((executor) =>
    executor.execute<z.infer<typeof OriginalProject>>(sql`
      select s.name, s.cid as canonical_id, s.created_at::float8 as created_at, s.source,
             max(seen.at)::float8 as last_seen, count(distinct seen.node_id)::int as nodes_count
      from spaces s
      left join (
        select cid, node_id, greatest(last_push_at, last_pull_at) as at from space_nodes
        union all
        select cid, node_id, last_seen from original_nodes
      ) seen on seen.cid = s.cid
      group by s.cid
      order by s.name`),
  );
  return result.rows;
}
