import { and, asc, count, eq, gt, inArray, lt } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { jobs, spaceNodes } from '../schema.ts';
import { toJob } from '../to-contract.ts';
import { emitEvents, lockEvents } from './emit-events.ts';
import { findSpaceNodes } from './find-spaces.ts';

/** A sync that has not ended as far as PostgreSQL knows. */
export type OpenJob = Pick<
  typeof jobs.$inferSelect,
  'id' | 'agent' | 'canonical_id' | 'workflow_id' | 'run_id'
>;

/**
 * Returns syncs that have not ended, by id.
 * @param input.after the last id of the previous page; empty for the first page
 * @param input.before latest time of the request, epoch milliseconds
 */
export async function listOpenJobs(
  db: Database,
  input: { after: string; before: number; limit: number },
): Promise<OpenJob[]> {
  const { id, agent, canonical_id, workflow_id, run_id, status, created_at } = jobs;
  return await db.run((sql) =>
    sql
      .select({ id, agent, canonical_id, workflow_id, run_id })
      .from(jobs)
      .where(and(inArray(status, ['pending', 'running']), gt(id, input.after), lt(created_at, input.before)))
      .orderBy(asc(id))
      .limit(input.limit),
  );
}

/** Returns how many syncs of one node in one space have not ended. */
export async function countOpenJobs(db: Database, input: { cid: string; node: string }): Promise<number> {
  const [row] = await db.run((sql) =>
    sql
      .select({ open: count() })
      .from(jobs)
      .where(
        and(
          inArray(jobs.status, ['pending', 'running']),
          eq(jobs.canonical_id, input.cid),
          eq(jobs.agent, input.node),
        ),
      ),
  );
  return row?.open ?? 0;
}

/**
 * Records that a sync failed because its workflow ended without a result, unless it has another end by now.
 * @param input.how for people: `ended as terminated`
 * @returns whether it was recorded
 */
export async function recordLostJob(
  db: Database,
  input: { job: OpenJob; how: string; now: number },
): Promise<boolean> {
  const { job, how, now } = input;
  const detail = `Its workflow ${how} without a result. Ask for the sync again.`;
  return await db.transaction(async (tx) => {
    const [row] = await tx
      .update(jobs)
      .set({ status: 'failed', detail, error_code: 'internal', finished_at: now })
      .where(and(eq(jobs.id, job.id), inArray(jobs.status, ['pending', 'running'])))
      .returning();
    if (row === undefined) return false;
    await tx
      .update(spaceNodes)
      .set({ status: 'failed', detail })
      .where(
        and(
          eq(spaceNodes.cid, job.canonical_id),
          eq(spaceNodes.node_id, job.agent),
          eq(spaceNodes.status, 'syncing'),
        ),
      );
    await lockEvents(tx);
    const changed = await findSpaceNodes(tx, job.canonical_id, [job.agent]);
    await emitEvents(
      tx,
      [
        { type: 'job' as const, job: toJob(row) },
        ...changed.map((node) => ({ type: 'space-node' as const, node })),
      ],
      now,
    );
    return true;
  });
}
