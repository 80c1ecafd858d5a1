import { and, asc, desc, eq, gt, isNull, lt, or, sql } from 'drizzle-orm';
import type { OutputChunk } from '../../contract/tasks/runs.ts';
import type { Database } from '../connect.ts';
import { leases, llmTasks, taskOutput } from '../schema.ts';

/** How long after the end of an attempt its last pieces may come, in milliseconds. */
const TAIL_MS = 60_000;

/**
 * Keeps what a running program wrote. Pieces that are there already are left out, so that a lost answer can be asked for again.
 * @returns false when the node's lease on the task is not this one any more: nothing is kept then
 */
export async function appendOutput(
  db: Database,
  input: { taskId: string; epoch: number; node: string; chunks: readonly OutputChunk[] },
): Promise<boolean> {
  const { taskId, epoch, node, chunks } = input;
  const now = Date.now();
  return await db.transaction(async (tx) => {
    // The last pieces may come when the attempt has just ended.
    const [held] = await tx
      .select({ id: leases.id })
      .from(leases)
      .innerJoin(llmTasks, eq(llmTasks.id, leases.task_id))
      .where(
        and(
          eq(leases.task_id, taskId),
          eq(leases.epoch, epoch),
          eq(leases.worker_id, node),
          eq(llmTasks.epoch, epoch),
          or(isNull(leases.ended_at), gt(leases.ended_at, now - TAIL_MS)),
        ),
      );
    if (held === undefined) return false;
    if (chunks.length > 0) {
      await tx
        .insert(taskOutput)
        .values(
          chunks.map((chunk) => ({
            ...chunk,
            // By the control plane's clock, give or take: retention goes by it.
            at: Math.min(now, Math.max(chunk.at, now - TAIL_MS)),
            task_id: taskId,
            epoch,
            // PostgreSQL's text has no NUL; the log artifact keeps it.
            text: chunk.text.replaceAll('\0', '\uFFFD'),
          })),
        )
        .onConflictDoNothing();
    }
    return true;
  });
}

/** What an attempt wrote after a sequence number, in order. */
export async function readOutput(
  db: Database,
  input: { taskId: string; epoch: number; after: number; limit: number },
): Promise<OutputChunk[]> {
  const { taskId, epoch, after, limit } = input;
  return await db.run((executor) =>
    executor
      .select({ seq: taskOutput.seq, stream: taskOutput.stream, at: taskOutput.at, text: taskOutput.text })
      .from(taskOutput)
      .where(and(eq(taskOutput.task_id, taskId), eq(taskOutput.epoch, epoch), gt(taskOutput.seq, after)))
      .orderBy(asc(taskOutput.seq))
      .limit(limit),
  );
}

/** Pieces read at a time, from the end. */
const BACK_BATCH = 200;

/**
 * Finds where the last lines of an attempt begin.
 * @returns the sequence number before them, or -1 when there are no more lines than that
 */
export async function seqBeforeTail(
  db: Database,
  input: { taskId: string; epoch: number; lines: number },
): Promise<number> {
  const { taskId, epoch } = input;
  let lines = 0;
  for (let before: number | null = null; ;) {
    const rows: { seq: number; lines: number }[] = await db.run((executor) =>
      executor
        .select({
          seq: taskOutput.seq,
          lines: sql<number>`length(${taskOutput.text}) - length(replace(${taskOutput.text}, E'\\n', ''))`,
        })
        .from(taskOutput)
        .where(
          and(
            eq(taskOutput.task_id, taskId),
            eq(taskOutput.epoch, epoch),
            before === null ? undefined : lt(taskOutput.seq, before),
          ),
        )
        .orderBy(desc(taskOutput.seq))
        .limit(BACK_BATCH),
    );
    for (const row of rows) {
      lines += row.lines;
      if (lines > input.lines) return row.seq - 1;
      before = row.seq;
    }
    if (rows.length < BACK_BATCH) return -1;
  }
}

/** Removes what is older than a time (epoch ms), but for what a task that has not ended wrote. @returns how many rows */
export async function pruneOutput(db: Database, input: { before: number }): Promise<number> {
  const result = await db.run((executor) =>
    executor
      .delete(taskOutput)
      .where(
        and(
          lt(taskOutput.at, input.before),
          sql`not exists (select 1 from ${llmTasks} where ${llmTasks.id} = ${taskOutput.task_id} and ${llmTasks.finished_at} is null)`,
        ),
      ),
  );
  return result.rowCount ?? 0;
}
