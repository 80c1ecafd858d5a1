import { eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { managedProjects, projectNodeStatus } from '../schema.ts';
import { emitEvents } from './emit-events.ts';
import { newEventKey, recordAudit, type AuditBy } from './record-audit.ts';

/**
 * Deletes a project, the records of its clones, and its credential. The clones themselves stay.
 * @returns the nodes that had a part in it, null when there was no such project
 */
export async function deleteProject(
  db: Database,
  input: { id: string; now: number; by: AuditBy },
): Promise<string[] | null> {
  return await db.transaction(async (tx) => {
    const clones = await tx
      .delete(projectNodeStatus)
      .where(eq(projectNodeStatus.project_id, input.id))
      .returning({ node: projectNodeStatus.node_id });
    const gone = await tx
      .delete(managedProjects)
      .where(eq(managedProjects.id, input.id))
      .returning({ name: managedProjects.name });
    const [project] = gone;
    if (project === undefined) return null;
    await recordAudit(tx, [
      {
        eventKey: newEventKey('project_deleted'),
        action: 'project_deleted',
        entity_type: 'managed_project',
        entity_id: input.id,
        ...input.by,
        detail: `${project.name}, known on ${clones.length} nodes`,
        correlation_id: input.id,
        timestamp: input.now,
      },
    ]);
    await emitEvents(tx, [{ type: 'project-removed', id: input.id }], input.now);
    return clones.map(({ node }) => node);
  });
}
