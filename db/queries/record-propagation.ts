import { and, eq, sql } from 'drizzle-orm';
import type { Propagation } from '../../contract/projects/projects.ts';
import type { Database, Executor } from '../connect.ts';
import { managedProjects } from '../schema.ts';
import { emitProjects } from './emit-project.ts';
import { byEngine, recordAudit } from './record-audit.ts';

/** SQL for a propagation that has not ended. */
const isOpen = sql`${managedProjects.propagation}->>'state' in ('running', 'waiting')`;

/**
 * Records the state of a propagation.
 * @param input.onlyIfOpen change nothing when this run's end is recorded already, or another run works on it
 * @returns whether anything was recorded: the project may be gone
 */
export async function recordPropagation(
  db: Database,
  input: {
    projectId: string;
    propagation: Omit<Propagation, 'history_url'>;
    now: number;
    onlyIfOpen?: boolean;
  },
): Promise<boolean> {
  const isRun = sql`${managedProjects.propagation}->>'run_id' = ${input.propagation.run_id}`;
  return await db.transaction(async (tx) => {
    const rows = await tx
      .update(managedProjects)
      .set({ propagation: input.propagation })
      .where(
        and(eq(managedProjects.id, input.projectId), ...(input.onlyIfOpen === true ? [isOpen, isRun] : [])),
      )
      .returning({ id: managedProjects.id });
    if (rows.length === 0) return false;
    await auditEnd(tx, input);
    await emitProjects(tx, [input.projectId], input.now);
    return true;
  });
}

/** Returns propagations that have not ended as far as PostgreSQL knows, by project. */
export async function listOpenPropagations(
  db: Database,
): Promise<{ projectId: string; propagation: Omit<Propagation, 'history_url'> }[]> {
  const rows = await db.run((executor) =>
    executor
      .select({ projectId: managedProjects.id, propagation: managedProjects.propagation })
      .from(managedProjects)
      .where(isOpen),
  );
  return rows.flatMap(({ projectId, propagation }) =>
    propagation === null ? [] : [{ projectId, propagation }],
  );
}

/**
 * Writes the audit entry for the end of a propagation; a repeated record writes it once, because the workflow
 * states the time.
 */
async function auditEnd(
  tx: Executor,
  input: { projectId: string; propagation: Omit<Propagation, 'history_url'>; now: number },
): Promise<void> {
  const { projectId, propagation, now } = input;
  const { state, run_id: runId, workflow_id: workflowId, finished_at: at, nodes } = propagation;
  if (state !== 'done' && state !== 'cancelled') return;
  await recordAudit(tx, [
    {
      eventKey: `propagation:${runId}:${at ?? 0}`,
      action: state === 'done' ? 'project_propagated' : 'project_propagation_cancelled',
      entity_type: 'managed_project',
      entity_id: projectId,
      ...byEngine(`workflow ${workflowId}`),
      detail: `${state} on ${nodes.length} nodes`,
      correlation_id: runId,
      timestamp: now,
    },
  ]);
}
