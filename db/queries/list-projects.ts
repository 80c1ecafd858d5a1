import { and, asc, eq, gt, or, sql } from 'drizzle-orm';
import type {
  CloneSpec,
  ListClones,
  ManagedProject,
  ProjectNodeStatus,
  ProjectSummary,
} from '../../contract/projects/projects.ts';
import type { Database } from '../connect.ts';
import { toCloneSpec, toProjectNode } from '../project-rows.ts';
import { managedProjects, projectNodeStatus } from '../schema.ts';
import { findProjectSummaries } from './find-project-summaries.ts';
import { findProjects } from './find-projects.ts';

/** Returns every managed project, by name, with counts instead of its clones. */
export async function listProjects(db: Database): Promise<ProjectSummary[]> {
  return await db.run((executor) => findProjectSummaries(executor));
}

/** Returns a managed project by its id; null when it does not exist. */
export async function getProject(db: Database, input: { id: string }): Promise<ManagedProject | null> {
  const [project] = await db.run((executor) => findProjects(executor, eq(managedProjects.id, input.id)));
  return project ?? null;
}

/**
 * Returns a page of a project's clones, by the node's name.
 * @returns one row more than requested, if there are more
 */
export async function listClones(
  db: Database,
  input: ListClones & { projectId: string },
): Promise<ProjectNodeStatus[]> {
  const { project_id, node_id, clone_status } = projectNodeStatus;
  const where = and(
    eq(project_id, input.projectId),
    input.cursor === undefined ? undefined : gt(node_id, input.cursor),
    input.status === undefined ? undefined : eq(clone_status, input.status),
    input.q === undefined ? undefined : sql`strpos(lower(${node_id}), lower(${input.q})) > 0`,
  );
  const rows = await db.run((executor) =>
    executor
      .select()
      .from(projectNodeStatus)
      .where(where)
      .orderBy(asc(node_id))
      .limit(input.limit + 1),
  );
  return rows.map(toProjectNode);
}

/** Returns the projects of a canonical id: as current id, as former id, or through their memory space. */
export async function listProjectsOf(db: Database, input: { cid: string }): Promise<ManagedProject[]> {
  const { cid } = input;
  const alias = sql`${managedProjects.aliases} @> ${JSON.stringify([cid])}::jsonb`;
  return await db.run((executor) =>
    findProjects(executor, or(eq(managedProjects.canonical_id, cid), eq(managedProjects.space, cid), alias)),
  );
}

/**
 * Returns what a node receives of a project, without the state of its clones; null when there is no such
 * project.
 */
export async function getCloneSpec(
  db: Database,
  input: { id: string; hosts: readonly string[] },
): Promise<CloneSpec | null> {
  const [row] = await db.run((executor) =>
    executor.select().from(managedProjects).where(eq(managedProjects.id, input.id)),
  );
  return row === undefined ? null : toCloneSpec(row, input.hosts);
}
