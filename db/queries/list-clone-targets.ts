import { and, asc, eq, gte, inArray, isNull, lte, sql } from 'drizzle-orm';
import type { CloneAction } from '../../contract/projects/projects.ts';
import type { Database } from '../connect.ts';
import { managedProjects, nodes, projectNodeStatus } from '../schema.ts';

/**
 * Returns the nodes of a propagation, in order: the primary first, then online nodes, then the others.
 * @param input.nodes which; null for every enrolled node, or, for `fetch`, every node with a clone, or, for
 * `update`, every online node with a clone
 * @param input.liveSince a heartbeat at or after this (epoch milliseconds) counts as online
 */
export async function listCloneTargets(
  db: Database,
  input: { projectId: string; action: CloneAction; nodes: readonly string[] | null; liveSince: number },
): Promise<string[]> {
  const { projectId, action } = input;
  return await db.run(async (executor) => {
    const [project] = await executor
      .select({ primary: managedProjects.primary_node_id })
      .from(managedProjects)
      .where(eq(managedProjects.id, projectId));
    if (project === undefined) return [];
    const wanted = input.nodes === null ? undefined : inArray(nodes.id, [...input.nodes]);
    const hasClone = sql`exists (select 1 from ${projectNodeStatus} where ${projectNodeStatus.project_id} = ${projectId} and ${projectNodeStatus.node_id} = ${nodes.id} and ${projectNodeStatus.repo_path} is not null)`;
    const isOnline = gte(nodes.last_heartbeat, input.liveSince);
    const rows = await executor
      .select({ id: nodes.id })
      .from(nodes)
      .where(
        and(wanted, action === 'clone' ? undefined : hasClone, action === 'update' ? isOnline : undefined),
      )
      .orderBy(
        sql`${nodes.id} is distinct from ${project.primary}`,
        sql`coalesce(${nodes.last_heartbeat}, 0) < ${input.liveSince}`,
        asc(nodes.id),
      );
    return rows.map((row) => row.id);
  });
}

/**
 * Returns nodes that enrolled after a project began to include new nodes, and that have no part in it yet.
 */
export async function listMissingClones(db: Database): Promise<{ projectId: string; node: string }[]> {
  return await db.run((executor) =>
    executor
      .select({ projectId: managedProjects.id, node: nodes.id })
      .from(managedProjects)
      .innerJoin(nodes, lte(managedProjects.new_nodes_since, nodes.registered_at))
      .leftJoin(
        projectNodeStatus,
        and(eq(projectNodeStatus.project_id, managedProjects.id), eq(projectNodeStatus.node_id, nodes.id)),
      )
      .where(isNull(projectNodeStatus.id))
      .orderBy(asc(managedProjects.id), asc(nodes.id)),
  );
}
