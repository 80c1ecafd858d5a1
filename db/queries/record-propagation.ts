import { and, eq, sql } from 'drizzle-orm';
import type { Propagation } from '../../contract/projects.ts';
import type { Database } from '../connect.ts';
import { managedProjects } from '../schema.ts';
import { emitProjects } from './emit-project.ts';

/** Records how a propagation stands. Gives whether the project is still there. */
export async function recordPropagation(
  db: Database,
  input: { projectId: string; propagation: Omit<Propagation, 'history_url'>; now: number },
): Promise<boolean> {
  return await db.transaction(async (tx) => {
    const rows = await tx
      .update(managedProjects)
      .set({ propagation: input.propagation })
      .where(eq(managedProjects.id, input.projectId))
      .returning({ id: managedProjects.id });
    if (rows.length === 0) return false;
    await emitProjects(tx, [input.projectId], input.now);
    return true;
  });
}

/** Propagations that have not ended as far as PostgreSQL knows, by project. */
export async function listOpenPropagations(
  db: Database,
): Promise<{ projectId: string; propagation: Omit<Propagation, 'history_url'> }[]> {
  const rows = await db.run((executor) =>
    executor
      .select({ projectId: managedProjects.id, propagation: managedProjects.propagation })
      .from(managedProjects)
      .where(and(sql`${managedProjects.propagation}->>'state' in ('running', 'waiting')`)),
  );
  return rows.flatMap(({ projectId, propagation }) =>
    propagation === null ? [] : [{ projectId, propagation }],
  );
}
