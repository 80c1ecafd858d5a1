import { and, eq, isNotNull, or } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { managedProjects, projectNodeStatus } from '../schema.ts';

/**
 * Returns a project's sealed credential and its host keys, for its primary or a node that was asked to clone
 * it.
 * @returns null when there is no such project, or this node has no part in it
 */
export async function getSealedCredential(
  db: Database,
  input: { projectId: string; node: string },
): Promise<{ sealed: string | null; knownHosts: string | null; repoUrl: string } | null> {
  const [row] = await db.run((sql) =>
    sql
      .select({
        sealed: managedProjects.credential,
        knownHosts: managedProjects.known_hosts,
        repoUrl: managedProjects.repo_url,
      })
      .from(managedProjects)
      .leftJoin(
        projectNodeStatus,
        and(eq(projectNodeStatus.project_id, managedProjects.id), eq(projectNodeStatus.node_id, input.node)),
      )
      .where(
        and(
          eq(managedProjects.id, input.projectId),
          or(isNotNull(projectNodeStatus.id), eq(managedProjects.primary_node_id, input.node)),
        ),
      ),
  );
  return row ?? null;
}
