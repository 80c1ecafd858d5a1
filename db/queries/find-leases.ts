import { and, desc, eq, inArray } from 'drizzle-orm';
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
  const rows = await db.run((sql) =>
    sql
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
  const rows = await db.run((sql) =>
    sql
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
  const rows = await db.run((sql) =>
    sql
      .select()
      .from(llmResults)
      .where(eq(llmResults.task_id, input.task))
      .orderBy(desc(llmResults.completed_at), desc(llmResults.id)),
  );
  return rows.map(toResult);
}

/** Which of some leases are active; for what agents say of them. */
export async function touchLeases(
  db: Database,
  input: { node: string; leases: readonly { lease_id: string; confirmed_at: number }[] },
): Promise<void> {
  const ids = input.leases.map(({ lease_id }) => lease_id);
  if (ids.length === 0) return;
  await db.transaction(async (tx) => {
    const held = await tx
      .select({ id: leases.id, ttl: leases.ttl_seconds })
      .from(leases)
      .where(and(inArray(leases.id, ids), eq(leases.worker_id, input.node), eq(leases.status, 'active')))
      .for('update');
    for (const { id, ttl } of held) {
      const at = input.leases.find(({ lease_id }) => lease_id === id)?.confirmed_at ?? 0;
      await tx
        .update(leases)
        .set({ last_heartbeat: at, expires_at: at + ttl * 1_000 })
        .where(eq(leases.id, id));
    }
  });
}
