import { eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { managedProjects } from '../schema.ts';
import { emitEvents } from './emit-events.ts';

/** Removes a project, what is known of its clones, and its credential. The clones stay. Gives whether there was one. */
export async function deleteProject(db: Database, input: { id: string; now: number }): Promise<boolean> {
  return await db.transaction(async (tx) => {
    const gone = await tx
      .delete(managedProjects)
      .where(eq(managedProjects.id, input.id))
      .returning({ id: managedProjects.id });
    if (gone.length === 0) return false;
    await emitEvents(tx, [{ type: 'project-removed', id: input.id }], input.now);
    return true;
  });
}
