import { asc, eq, inArray, sql, type SQL } from 'drizzle-orm';
import {
  CloneStatus,
  countClones,
  type CloneCounts,
  type ProjectSummary,
} from '../../contract/projects/projects.ts';
import type { Executor } from '../connect.ts';
import { toProjectSummary, type FailedClone } from '../project-rows.ts';
import { managedProjects, projectNodeStatus } from '../schema.ts';

/**
 * Returns the managed projects that match a condition, by name, with counts instead of their clones; for
 * queries of this folder.
 */
export async function findProjectSummaries(executor: Executor, where?: SQL): Promise<ProjectSummary[]> {
  const rows = await executor.select().from(managedProjects).where(where).orderBy(asc(managedProjects.name));
  const ids = rows.map((row) => row.id);
  const counts = await countClonesOf(executor, ids);
  const failed = await findFirstFailed(
    executor,
    ids.filter((id) => (counts.get(id)?.failed ?? 0) > 0),
  );
  return rows.map((row) => toProjectSummary(row, counts.get(row.id) ?? countClones([]), failed.get(row.id)));
}

/** Counts the clones of projects; a project without clones has no entry. */
export async function countClonesOf(
  executor: Executor,
  projectIds: readonly string[],
): Promise<Map<string, CloneCounts>> {
  if (projectIds.length === 0) return new Map();
  const { project_id, clone_status, commit, behind, ahead, dirty } = projectNodeStatus;
  const count = (condition: SQL) => sql<number>`count(*) filter (where ${condition})::int`;
  const present = sql`(${clone_status} = 'cloned' or ${commit} is not null)`;
  const compared = sql`${present} and ${dirty} is not null`;
  const byStatus = Object.fromEntries(
    CloneStatus.options.map((status) => [status, count(eq(clone_status, status))]),
  ) as Record<CloneStatus, SQL<number>>;
  const rows = await executor
    .select({
      project_id,
      ...byStatus,
      total: sql<number>`count(*)::int`,
      present: count(present),
      compared: count(compared),
      behind: count(sql`${compared} and ${behind} > 0`),
      ahead: count(sql`${compared} and ${ahead} > 0`),
      dirty: count(sql`${compared} and ${dirty} > 0`),
    })
    .from(projectNodeStatus)
    .where(inArray(project_id, [...projectIds]))
    .groupBy(project_id);
  return new Map(rows.map(({ project_id: id, ...counts }) => [id, counts]));
}

/** Returns the clone whose error a project shows: the first failed one by the node's name. */
export async function findFirstFailed(
  executor: Executor,
  projectIds: readonly string[],
): Promise<Map<string, FailedClone>> {
  if (projectIds.length === 0) return new Map();
  const { project_id, node_id, error_message, detail, clone_status } = projectNodeStatus;
  const rows = await executor
    .selectDistinctOn([project_id], { project_id, node_id, error_message, detail })
    .from(projectNodeStatus)
    .where(sql`${inArray(project_id, [...projectIds])} and ${clone_status} = 'failed'`)
    .orderBy(asc(project_id), asc(node_id));
  return new Map(rows.map(({ project_id: id, ...failed }) => [id, failed]));
}
