import { eq, or, sql } from 'drizzle-orm';
import type { CloneSpec, ManagedProject } from '../../contract/projects.ts';
import type { Database } from '../connect.ts';
import { toCloneSpec } from '../project-rows.ts';
import { managedProjects } from '../schema.ts';
import { findProjects } from './find-projects.ts';

/** Every managed project, by name, each with its clones. */
export async function listProjects(db: Database): Promise<ManagedProject[]> {
  return await db.run((executor) => findProjects(executor));
}

/** One managed project by its id; null when there is none. */
export async function getProject(db: Database, input: { id: string }): Promise<ManagedProject | null> {
  const [project] = await db.run((executor) => findProjects(executor, eq(managedProjects.id, input.id)));
  return project ?? null;
}

/** The projects that go with a canonical id: as their own, as one they had before, or as their memory space. */
export async function listProjectsOf(db: Database, input: { cid: string }): Promise<ManagedProject[]> {
  const { cid } = input;
  const alias = sql`${managedProjects.aliases} @> ${JSON.stringify([cid])}::jsonb`;
  return await db.run((executor) =>
    findProjects(executor, or(eq(managedProjects.canonical_id, cid), eq(managedProjects.space, cid), alias)),
  );
}

/** What a node is told of a project, without how its clones stand; null when there is no such project. */
export async function getCloneSpec(db: Database, input: { id: string }): Promise<CloneSpec | null> {
  const [row] = await db.run((executor) =>
    executor.select().from(managedProjects).where(eq(managedProjects.id, input.id)),
  );
  return row === undefined ? null : toCloneSpec(row);
}
