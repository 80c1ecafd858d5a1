import { sql } from 'drizzle-orm';
import type { z } from 'zod';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { OriginalProject } from '../../contract/http/api.ts';
import type { Database } from '../connect.ts';

/** Maximum number of reported projects without a space that are listed, the latest reports first. */
const MAX_REPORTED = 200;

/**
 * Returns every space in the form of the original's `GET /projects`, sorted by name. Includes every project
 * that nodes reported (`source` is "heartbeat") and that waits for a person to create its space.
 */
export async function listOriginalProjects(db: Database): Promise<z.infer<typeof OriginalProject>[]> {
  // A raw statement returns bigint as text, so the numbers are cast to double precision.
  const reported = await db.run((executor) =>
    executor.execute<z.infer<typeof OriginalProject>>(sql`
      select max(project_id) as name, cid as canonical_id, min(registered_at)::float8 as created_at,
             'heartbeat' as source, max(last_seen)::float8 as last_seen, count(*)::int as nodes_count
      from original_nodes reported
      where project_id not in ('', '*') and not exists (
        select from spaces where spaces.cid = reported.cid or spaces.aliases ? reported.cid)
      group by cid order by max(last_seen) desc limit ${MAX_REPORTED}`),
  );
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
  // In the original, an agent can choose an id that does not follow from its name; nothing can be synced
  // under such an id.
  const waiting = reported.rows.filter(({ name, canonical_id: cid }) => canonicalId(name) === cid);
  return [...result.rows, ...waiting].sort((a, b) => (a.name < b.name ? -1 : 1));
}
