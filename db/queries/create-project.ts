import { eq, or, sql } from 'drizzle-orm';
import { MembridgeError } from '../../contract/errors.ts';
import type { ManagedProject } from '../../contract/projects/projects.ts';
import type { Database, Executor } from '../connect.ts';
import { managedProjects } from '../schema.ts';
import { emitProjects } from './emit-project.ts';
import { findProjects } from './find-projects.ts';
import { newEventKey, recordAudit, type AuditBy } from './record-audit.ts';

/** The advisory lock for assigning project names. */
const NAMES_LOCK = 7_305_803;

/** The columns of a new project; see db/schema.ts. */
export type NewProject = typeof managedProjects.$inferInsert;

/**
 * Records a managed project.
 * @throws MembridgeError conflict when its name, or the canonical id derived from it, belongs to another
 * project
 */
export async function createProject(db: Database, project: NewProject, by: AuditBy): Promise<ManagedProject> {
  return await db.transaction(async (tx) => {
    await refuseTaken(tx, project);
    await tx.insert(managedProjects).values(project);
    await recordAudit(tx, [
      {
        eventKey: newEventKey('project_created'),
        action: 'project_created',
        entity_type: 'managed_project',
        entity_id: project.id,
        ...by,
        detail: `${project.name} of ${project.repo_url}`,
        correlation_id: project.id,
        timestamp: project.created_at,
      },
    ]);
    const [created] = await findProjects(tx, eq(managedProjects.id, project.id));
    if (created === undefined) throw new Error(`project ${project.id} was not recorded`);
    await emitProjects(tx, [project.id], project.created_at);
    return created;
  });
}

/**
 * Refuses a name that is, or was, another project's: a canonical id means one project, be it as its id or as
 * an alias. First takes an advisory lock, so that of two concurrent requests for one name the second is
 * refused. A table lock could deadlock with a transaction that records a status and waits for a row locked
 * here.
 */
export async function refuseTaken(
  tx: Executor,
  wanted: Pick<NewProject, 'id' | 'name' | 'canonical_id'>,
): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${NAMES_LOCK})`);
  const alias = sql`${managedProjects.aliases} @> ${JSON.stringify([wanted.canonical_id])}::jsonb`;
  const others = await tx
    .select({ id: managedProjects.id, name: managedProjects.name })
    .from(managedProjects)
    .where(
      or(eq(managedProjects.name, wanted.name), eq(managedProjects.canonical_id, wanted.canonical_id), alias),
    );
  const taken = others.find((other) => other.id !== wanted.id);
  if (taken === undefined) return;
  throw new MembridgeError(
    'conflict',
    taken.name === wanted.name
      ? `A project named ${wanted.name} exists. Choose another name, or delete that project first.`
      : `${wanted.name} is an older name of the project ${taken.name}. Choose another name.`,
  );
}
