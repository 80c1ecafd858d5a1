import { asc, eq } from 'drizzle-orm';
import type { z } from 'zod';
import type { OriginalProjectNode } from '../../contract/http/api.ts';
import type { Database } from '../connect.ts';
import { leaderships, nodes, originalNodes, spaceNodes, spaces } from '../schema.ts';

type ProjectNode = z.infer<typeof OriginalProjectNode>;

/**
 * Returns the nodes of a project in the original's form: those that sync it, and those that only send the
 * original's heartbeats.
 */
export async function listOriginalNodes(db: Database, input: { cid: string }): Promise<ProjectNode[]> {
  return await db.run(async (sql) => {
    const reported = await sql
      .select()
      .from(originalNodes)
      .where(eq(originalNodes.cid, input.cid))
      .orderBy(asc(originalNodes.node_id));
    const enrolled = await sql
      .select({ node: nodes, project: spaces.name })
      .from(spaceNodes)
      .innerJoin(nodes, eq(nodes.id, spaceNodes.node_id))
      .innerJoin(spaces, eq(spaces.cid, spaceNodes.cid))
      .where(eq(spaceNodes.cid, input.cid))
      .orderBy(asc(nodes.id));
    const [led] = await sql
      .select({ primary: leaderships.primary_node_id })
      .from(leaderships)
      .where(eq(leaderships.cid, input.cid));
    const roleOf = (node: string): string =>
      led?.primary == null ? 'unknown' : led.primary === node ? 'primary' : 'secondary';
    const known = new Map<string, ProjectNode>();
    for (const { cid, ...rest } of reported) {
      known.set(rest.node_id, { ...rest, canonical_id: cid, role: roleOf(rest.node_id) });
    }
    for (const { node, project } of enrolled) {
      known.set(node.id, {
        node_id: node.id,
        canonical_id: input.cid,
        role: roleOf(node.id),
        obs_count: node.memory?.rows?.observations ?? 0,
        db_sha: '',
        last_seen: node.last_heartbeat,
        ip_addrs: node.facts.ip_addrs,
        registered_at: node.registered_at,
        project_id: project,
      });
    }
    return [...known.values()];
  });
}
