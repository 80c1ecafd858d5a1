import { and, desc, eq, sql } from 'drizzle-orm';
import type { Lease, Run, TaskResult, TaskRun } from '../../contract/tasks/leases.ts';
import type { Database } from '../connect.ts';
import { leases, llmResults, llmTasks } from '../schema.ts';
import { toLease, toResult, toTask } from '../task-rows.ts';

/** Returns leases, the newest first, at most 500 by default. */
export async function listLeases(
  db: Database,
  query: {
    /** An unknown status matches no lease. */
    status?: string | undefined;
    task?: string | undefined;
    worker?: string | undefined;
    limit?: number;
  },
): Promise<Lease[]> {
  const rows = await db.run((executor) =>
    executor
      .select()
      .from(leases)
      .where(
        and(
          query.status === undefined ? undefined : sql`${leases.status} = ${query.status}`,
          query.task === undefined ? undefined : eq(leases.task_id, query.task),
          query.worker === undefined ? undefined : eq(leases.worker_id, query.worker),
        ),
      )
      .orderBy(desc(leases.started_at), desc(leases.id))
      .limit(query.limit ?? 500),
  );
  return rows.map(toLease);
}

/** Returns a task as lists show it, with the outcome of an attempt. */
function toOutcome(row: {
  task: typeof llmTasks.$inferSelect;
  result: typeof llmResults.$inferSelect | null;
}) {
  return {
    ...toTask(row.task, 'short'),
    task_status: row.task.status,
    result: row.result === null ? null : toResult(row.result),
  };
}

/** Returns attempts with their outcomes, the newest first. */
export async function listRuns(db: Database, input: { limit: number }): Promise<Run[]> {
  const rows = await db.run((executor) =>
    executor
      .select({ lease: leases, task: llmTasks, result: llmResults })
      .from(leases)
      .innerJoin(llmTasks, eq(llmTasks.id, leases.task_id))
      .leftJoin(llmResults, eq(llmResults.lease_id, leases.id))
      .orderBy(desc(leases.started_at), desc(leases.id))
      .limit(input.limit),
  );
  return rows.map(({ lease, ...row }) => ({ ...toOutcome(row), lease: toLease(lease) }));
}

/** Returns the newest tasks, each with its last attempt and its outcome. */
export async function listTaskRuns(db: Database, input: { limit: number }): Promise<TaskRun[]> {
  const rows = await db.run((executor) =>
    executor
      .select({ lease: leases, task: llmTasks, result: llmResults })
      .from(llmTasks)
      .leftJoin(leases, eq(leases.id, llmTasks.lease_id))
      .leftJoin(llmResults, eq(llmResults.lease_id, llmTasks.lease_id))
      .orderBy(desc(llmTasks.created_at), desc(llmTasks.id))
      .limit(input.limit),
  );
  return rows.map(({ lease, ...row }) => ({
    ...toOutcome(row),
    lease: lease === null ? null : toLease(lease),
  }));
}

/** Messages that a node keeps of a session (runner/sessions.ts). */
const KEPT_MESSAGES = 50;

/**
 * Returns how many messages the session of a context has on a node: a prompt and an answer for each
 * successful task.
 */
export async function countSessionMessages(
  db: Database,
  input: { context: string; worker: string },
): Promise<number> {
  const done = await db.run((executor) =>
    executor.$count(
      llmResults,
      and(
        eq(llmResults.context_id, input.context),
        eq(llmResults.worker_id, input.worker),
        eq(llmResults.status, 'success'),
      ),
    ),
  );
  return Math.min(2 * done, KEPT_MESSAGES);
}

/** Returns the outcomes of a task's attempts, the newest first. */
export async function listResults(db: Database, input: { task: string }): Promise<TaskResult[]> {
  const rows = await db.run((executor) =>
    executor
      .select()
      .from(llmResults)
      .where(eq(llmResults.task_id, input.task))
      .orderBy(desc(llmResults.completed_at), desc(llmResults.id)),
  );
  return rows.map(toResult);
}

/**
 * Records when Temporal last confirmed the leases that a node holds (epoch milliseconds); leaves leases that
 * it does not hold.
 */
export async function touchLeases(
  db: Database,
  input: { node: string; leases: readonly { lease_id: string; confirmed_at: number }[] },
): Promise<void> {
  if (input.leases.length === 0) return;
  const told = sql`jsonb_to_recordset(${JSON.stringify(input.leases)}::jsonb) as told(lease_id text, confirmed_at bigint)`;
  await db.run((executor) =>
    executor.execute(sql`
      update ${leases} set last_heartbeat = told.confirmed_at, expires_at = told.confirmed_at + ttl_seconds * 1000
      from ${told}
      where id = told.lease_id and worker_id = ${input.node} and status = 'active'`),
  );
}
