import { and, desc, eq, inArray, lt, or, type SQL } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { leases, llmTasks } from '../schema.ts';
import { toLease, toTask, type TaskRow } from '../task-rows.ts';
import { emitEvents } from './emit-events.ts';
import { recordAudit } from './record-audit.ts';
import { findDependents } from './record-task.ts';

/** Statuses in which a task's workflow runs. */
const OPEN_STATUSES = ['queued', 'leased', 'running'] as const;

/** Identifies one state of an open task, and its workflow. */
export type OpenTask = Pick<TaskRow, 'id' | 'seq' | 'created_at' | 'updated_at' | 'workflow_id'>;

/**
 * Returns tasks that have not ended, the newest first.
 * @param input.after the last one of the previous page; null to start with the newest
 */
export async function listOpenTasks(
  db: Database,
  input: { after: Pick<OpenTask, 'id' | 'created_at'> | null; limit: number },
): Promise<OpenTask[]> {
  const { after, limit } = input;
  const { id, seq, created_at, updated_at, workflow_id } = llmTasks;
  const further: SQL | undefined =
    after === null
      ? undefined
      : or(lt(created_at, after.created_at), and(eq(created_at, after.created_at), lt(id, after.id)));
  return await db.run((executor) =>
    executor
      .select({ id, seq, created_at, updated_at, workflow_id })
      .from(llmTasks)
      .where(and(inArray(llmTasks.status, [...OPEN_STATUSES]), further))
      .orderBy(desc(created_at), desc(id))
      .limit(limit),
  );
}

/**
 * Records that a task failed because its workflow ended without a result: the task, its lease, the audit
 * entry and the event. The row equals one written by the workflow, so that a requeue can continue from it.
 * Leaves a task alone that changed since it was read.
 * @param input.how for people: `ended as terminated`
 * @returns the task's row, and the tasks that wait for it; null when it had changed
 */
export async function recordLostTask(
  db: Database,
  input: { seen: Pick<OpenTask, 'id' | 'seq'>; how: string; now: number },
): Promise<{ row: TaskRow; dependents: string[] } | null> {
  const { seen, how, now } = input;
  const { id, seq } = seen;
  const message = `Its workflow ${how} without a result. Queue it again.`;
  return await db.transaction(async (tx) => {
    const [row] = await tx
      .update(llmTasks)
      .set({
        status: 'failed',
        seq: seq + 1,
        updated_at: now,
        finished_at: now,
        detail: message,
        error_code: 'workflow_ended',
        error_message: message,
        cancel_requested_at: null,
      })
      .where(and(eq(llmTasks.id, id), eq(llmTasks.seq, seq), inArray(llmTasks.status, [...OPEN_STATUSES])))
      .returning();
    if (row === undefined) return null;
    const [lease] = await tx
      .update(leases)
      .set({ status: 'failed', ended_at: now, end_reason: `workflow_ended: ${message}` })
      .where(and(eq(leases.task_id, id), eq(leases.status, 'active')))
      .returning();
    await recordAudit(tx, [
      {
        eventKey: `${id}:${seq + 1}:lost`,
        action: 'task_failed',
        entity_type: 'llm_task',
        entity_id: id,
        actor: 'engine',
        detail: message,
        cause: `its workflow ${how}`,
        correlation_id: id,
        timestamp: now,
      },
    ]);
    const dependents = await findDependents(tx, id);
    const task = toTask(row, 'short');
    await emitEvents(tx, [{ type: 'task', task, lease: lease === undefined ? null : toLease(lease) }], now);
    return { row, dependents };
  });
}
