import type { Database } from '../connect.ts';
import { originalNodes } from '../schema.ts';

/** Records what an agent of the original protocol reports about one of its projects. */
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
  await db.run((sql) =>
    sql
      .insert(originalNodes)
      .values({ cid: input.cid, node_id: input.node, registered_at: input.now, ...report })
      .onConflictDoUpdate({ target: [originalNodes.cid, originalNodes.node_id], set: report }),
  );
}
