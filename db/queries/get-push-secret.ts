import { eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { managedProjects } from '../schema.ts';

/**
 * Returns the sealed secret of a project's push webhook; null when there is no such project, or no secret.
 */
export async function getPushSecret(db: Database, input: { id: string }): Promise<string | null> {
  const [row] = await db.run((sql) =>
    sql
      .select({ secret: managedProjects.push_secret })
      .from(managedProjects)
      .where(eq(managedProjects.id, input.id)),
  );
  return row?.secret ?? null;
}
