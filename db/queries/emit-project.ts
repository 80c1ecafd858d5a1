import { eq, inArray } from 'drizzle-orm';
import { countClones, type ProjectSummary } from '../../contract/projects/projects.ts';
import type { Executor } from '../connect.ts';
import { shownError, statusFromCounts, toProjectNode, type ProjectNodeRow } from '../project-rows.ts';
import { managedProjects } from '../schema.ts';
import { emitEvents, lockEvents } from './emit-events.ts';
import { countClonesOf, findProjectSummaries, findFirstFailed } from './find-project-summaries.ts';

/**
 * Announces to browsers the current state of projects; call it last in a transaction that changed a project
 * or its clones.
 * @returns the announced projects, without deleted ones
 */
export async function emitProjects(
  tx: Executor,
  ids: readonly string[],
  at: number,
): Promise<ProjectSummary[]> {
  if (ids.length === 0) return [];
  await lockEvents(tx);
  const projects = await findProjectSummaries(tx, inArray(managedProjects.id, [...ids]));
  await emitEvents(
    tx,
    projects.map((project) => ({ type: 'project' as const, project })),
    at,
  );
  return projects;
}

/**
 * Announces to browsers the current state of one clone and its project; call it last in a transaction that
 * changed the row.
 */
export async function emitClone(tx: Executor, row: ProjectNodeRow, at: number): Promise<void> {
  await lockEvents(tx);
  const id = row.project_id;
  const [project] = await tx
    .select({ propagation: managedProjects.propagation })
    .from(managedProjects)
    .where(eq(managedProjects.id, id));
  if (project === undefined) return;
  const clones = (await countClonesOf(tx, [id])).get(id) ?? countClones([]);
  const failed = clones.failed === 0 ? undefined : (await findFirstFailed(tx, [id])).get(id);
  const event = {
    type: 'project-node' as const,
    status: toProjectNode(row),
    clone_status: statusFromCounts(clones, project.propagation),
    clones,
    error_message: shownError(failed),
  };
  await emitEvents(tx, [event], at);
}
