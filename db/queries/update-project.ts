import { eq } from 'drizzle-orm';
import { MembridgeError } from '../../contract/errors.ts';
import { originOf } from '../../contract/projects/git-url.ts';
import type { ManagedProject } from '../../contract/projects/projects.ts';
import type { Database } from '../connect.ts';
import { managedProjects } from '../schema.ts';
import { refuseTaken, type NewProject } from './create-project.ts';
import { emitProjects } from './emit-project.ts';
import { findProjects } from './find-projects.ts';
import { newEventKey, recordAudit, type AuditBy } from './record-audit.ts';

/** Columns of a project that people change. */
export type ProjectChange = Partial<Omit<NewProject, 'id' | 'created_at' | 'updated_at' | 'propagation'>>;

/**
 * Changes a project. The former canonical id becomes an alias. An address with another protocol, host or port
 * drops the credential, which was given for the former one.
 * @param input.now the control plane's clock, epoch milliseconds
 * @param input.ifAt change nothing unless the address is still this one
 * @returns the project as it is now, or null when it no longer exists
 * @throws MembridgeError conflict when the new name belongs to another project, or the address changed in the
 * meantime
 */
export async function updateProject(
  db: Database,
  input: { id: string; change: ProjectChange; now: number; by: AuditBy; ifAt?: string },
): Promise<ManagedProject | null> {
  const { id, change, now } = input;
  return await db.transaction(async (tx) => {
    if (change.name !== undefined && change.canonical_id !== undefined) {
      await refuseTaken(tx, { id, name: change.name, canonical_id: change.canonical_id });
    }
    const [row] = await tx.select().from(managedProjects).where(eq(managedProjects.id, id)).for('update');
    if (row === undefined) return null;
    if (input.ifAt !== undefined && input.ifAt !== row.repo_url) {
      throw new MembridgeError(
        'conflict',
        `Another request changed the address of ${row.name}. Reload the project, and try again.`,
      );
    }
    const cid = change.canonical_id ?? row.canonical_id;
    const former = cid === row.canonical_id ? row.aliases : [...row.aliases, row.canonical_id];
    const aliases = [...new Set(former)].filter((alias) => alias !== cid);
    const isMoving = change.repo_url !== undefined && originOf(change.repo_url) !== originOf(row.repo_url);
    await tx
      .update(managedProjects)
      .set({
        ...change,
        ...(isMoving ? { credential: null, credential_info: null } : {}),
        aliases,
        updated_at: now,
      })
      .where(eq(managedProjects.id, id));
    await recordAudit(tx, [
      {
        eventKey: newEventKey('project_updated'),
        action: 'project_updated',
        entity_type: 'managed_project',
        entity_id: id,
        ...input.by,
        detail: describeChange(row.name, change),
        correlation_id: id,
        timestamp: now,
      },
    ]);
    const [project] = await findProjects(tx, eq(managedProjects.id, id));
    await emitProjects(tx, [id], now);
    return project ?? null;
  });
}

/** Describes a change: the names of changed columns, and values only if they are short and not secret. */
function describeChange(name: string, change: ProjectChange): string {
  const said = Object.keys(change)
    .filter((key) => !['credential_info', 'canonical_id', 'aliases'].includes(key))
    .map((key) => {
      if (key === 'credential') return change.credential == null ? 'credential removed' : 'credential set';
      if (key === 'name') return `name ${String(change.name)}`;
      if (key === 'repo_url') return `repo_url ${String(change.repo_url)}`;
      return key;
    });
  return `${name}: ${said.length === 0 ? 'nothing' : said.join(', ')}`;
}
