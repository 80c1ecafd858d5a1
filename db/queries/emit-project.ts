import { and, eq, inArray } from 'drizzle-orm';
import { projectStatus, type ManagedProject } from '../../contract/projects.ts';
import type { Executor } from '../connect.ts';
import { errorOf, toProjectNode, type ProjectNodeRow } from '../project-rows.ts';
import { managedProjects, projectNodeStatus } from '../schema.ts';
import { emitEvents, lockEvents } from './emit-events.ts';
import { findProjects } from './find-projects.ts';

/**
 * Tells browsers how projects stand now; the last thing in a transaction that changed one or its clones.
 * @returns the projects as they are told of, those that are gone left out
 */
export async function emitProjects(
  tx: Executor,
  ids: readonly string[],
  at: number,
): Promise<ManagedProject[]> {
  if (ids.length === 0) return [];
  await lockEvents(tx);
  const projects = await findProjects(tx, inArray(managedProjects.id, [...ids]));
  await emitEvents(
    tx,
    projects.map((project) => ({ type: 'project' as const, project })),
    at,
  );
  return projects;
}

/** Tells browsers how one clone stands now, and its project by it; the last thing in a transaction that changed the row. */
export async function emitClone(tx: Executor, row: ProjectNodeRow, at: number): Promise<void> {
  await lockEvents(tx);
  const [project] = await tx
    .select({ propagation: managedProjects.propagation })
    .from(managedProjects)
    .where(eq(managedProjects.id, row.project_id));
  if (project === undefined) return;
  const statuses = await tx
    .selectDistinct({ clone_status: projectNodeStatus.clone_status })
    .from(projectNodeStatus)
    .where(eq(projectNodeStatus.project_id, row.project_id));
  const [failed] = await tx
    .select()
    .from(projectNodeStatus)
    .where(
      and(eq(projectNodeStatus.project_id, row.project_id), eq(projectNodeStatus.clone_status, 'failed')),
    )
    .orderBy(projectNodeStatus.node_id)
    .limit(1);
  const event = {
    type: 'project-node' as const,
    status: toProjectNode(row),
    clone_status: projectStatus(statuses, project.propagation),
    error_message: errorOf(failed),
  };
  await emitEvents(tx, [event], at);
}
