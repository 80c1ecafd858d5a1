import { asc, inArray, type SQL } from 'drizzle-orm';
import type { ManagedProject } from '../../contract/projects/projects.ts';
import type { Executor } from '../connect.ts';
import { toManagedProject } from '../project-rows.ts';
import { managedProjects, projectNodeStatus } from '../schema.ts';

/**
 * Returns the managed projects that match a condition, by name, each with its clones; for queries of this
 * folder.
 */
export async function findProjects(executor: Executor, where?: SQL): Promise<ManagedProject[]> {
  const rows = await executor.select().from(managedProjects).where(where).orderBy(asc(managedProjects.name));
  if (rows.length === 0) return [];
  const nodeRows = await executor
    .select()
    .from(projectNodeStatus)
    .where(
      inArray(
        projectNodeStatus.project_id,
        rows.map((row) => row.id),
      ),
    )
    .orderBy(asc(projectNodeStatus.node_id));
  const nodesOf = Map.groupBy(nodeRows, (row) => row.project_id);
  return rows.map((row) => toManagedProject(row, nodesOf.get(row.id) ?? []));
}
