import { sql } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { originalNodes } from '../schema.ts';
import { recordAudit } from './record-audit.ts';

/** Maximum number of projects stored per node. The oldest reports are dropped. */
const MAX_REPORTS = 200;

/**
 * Maximum number of reports stored of all nodes, because anybody with the original's shared key can invent
 * nodes.
 */
const MAX_ROWS = 20_000;

const HOUR_MS = 3_600_000;

/**
 * Records an original agent's report about one of its projects. The first report of a project writes an audit
 * entry, at most one per hour and node.
 */
export async function recordOriginalHeartbeat(
  db: Database,
  input: {
    cid: string;
    node: string;
    projectId: string;
    observations: number;
    databaseSha: string;
    ipAddresses: string[];
    now: number;
  },
): Promise<void> {
  const report = {
    project_id: input.projectId,
    obs_count: input.observations,
    db_sha: input.databaseSha,
    ip_addrs: input.ipAddresses,
    last_seen: input.now,
  };
  await db.transaction(async (tx) => {
    const [filed] = await tx
      .insert(originalNodes)
      .values({ cid: input.cid, node_id: input.node, registered_at: input.now, ...report })
      .onConflictDoUpdate({ target: [originalNodes.cid, originalNodes.node_id], set: report })
      .returning({ isNew: sql<boolean>`xmax = 0` });
    if (filed?.isNew !== true) return;
    await tx.execute(sql`
      delete from original_nodes where (cid, node_id) in (
        (select cid, node_id from original_nodes where node_id = ${input.node} order by last_seen desc offset ${MAX_REPORTS})
        union all (select cid, node_id from original_nodes order by last_seen desc offset ${MAX_ROWS}))`);
    await recordAudit(tx, [
      {
        eventKey: `project_reported:${input.node}:${Math.floor(input.now / HOUR_MS)}`,
        action: 'project_reported',
        entity_type: 'membridge_project',
        entity_id: input.cid,
        actor: input.node,
        cause: 'its agent reported the project',
        detail: input.projectId,
        correlation_id: input.node,
        timestamp: input.now,
      },
    ]);
  });
}
