import { inArray } from 'drizzle-orm';
import type { ManagedProject } from '../../contract/projects.ts';
import type { Executor } from '../connect.ts';
import { managedProjects } from '../schema.ts';
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
