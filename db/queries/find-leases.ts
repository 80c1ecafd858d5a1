import { and, desc, eq, sql } from 'drizzle-orm';
import type { Lease, LeaseStatus, Run, TaskResult } from '../../contract/leases.ts';
import type { Database } from '../connect.ts';
import { leases, llmResults, llmTasks } from '../schema.ts';
import { toLease, toResult } from '../task-rows.ts';

/** Leases, the newest first, 500 at most unless told. */
export async function listLeases(
  db: Database,
  query: {
    status?: LeaseStatus | undefined;
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
          query.status === undefined ? undefined : eq(leases.status, query.status),
          query.task === undefined ? undefined : eq(leases.task_id, query.task),
          query.worker === undefined ? undefined : eq(leases.worker_id, query.worker),
        ),
      )
      .orderBy(desc(leases.started_at), desc(leases.id))
      .limit(query.limit ?? 500),
  );
  return rows.map(toLease);
}

/** Attempts with what they came to, the newest first. */
export async function listRuns(db: Database, input: { limit: number }): Promise<Run[]> {
  const rows = await db.run((executor) =>
    executor
      .select({ lease: leases, agent: llmTasks.agent_slug, status: llmTasks.status, result: llmResults })
      .from(leases)
      .innerJoin(llmTasks, eq(llmTasks.id, leases.task_id))
      .leftJoin(llmResults, eq(llmResults.lease_id, leases.id))
      .orderBy(desc(leases.started_at), desc(leases.id))
      .limit(input.limit),
  );
  return rows.map(({ lease, agent, status, result }) => ({
    lease: toLease(lease),
    agent_slug: agent,
    task_status: status,
    result: result === null ? null : toResult(result),
  }));
}

/** What the attempts of a task came to, the newest first. */
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

/** Shows when the engine last confirmed leases that a node holds (epoch ms); those that it does not hold stay as they are. */
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
