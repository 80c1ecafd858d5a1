import { eq } from 'drizzle-orm';
import type { ManagedProject } from '../../contract/projects.ts';
import type { Database } from '../connect.ts';
import { managedProjects } from '../schema.ts';
import { refuseTaken, type NewProject } from './create-project.ts';
import { emitProjects } from './emit-project.ts';

/** Columns of a project that people change. */
export type ProjectChange = Partial<Omit<NewProject, 'id' | 'created_at' | 'updated_at' | 'propagation'>>;

/**
 * Changes a project. A new canonical id leaves the one before as an alias.
 * @param input.now the control plane's clock, epoch ms
 * @returns the project as it is now, or null when there is none any more
 * @throws MembridgeError conflict when the new name belongs to another project
 */
export async function updateProject(
  db: Database,
  input: { id: string; change: ProjectChange; now: number },
): Promise<ManagedProject | null> {
  const { id, change, now } = input;
  return await db.transaction(async (tx) => {
    const [row] = await tx.select().from(managedProjects).where(eq(managedProjects.id, id)).for('update');
    if (row === undefined) return null;
    const cid = change.canonical_id ?? row.canonical_id;
    await refuseTaken(tx, { id, name: change.name ?? row.name, canonical_id: cid });
    const former = cid === row.canonical_id ? row.aliases : [...row.aliases, row.canonical_id];
    const aliases = [...new Set(former)].filter((alias) => alias !== cid);
    await tx
      .update(managedProjects)
      .set({ ...change, aliases, updated_at: now })
      .where(eq(managedProjects.id, id));
    const [project] = await emitProjects(tx, [id], now);
    return project ?? null;
  });
}
