import { and, asc, desc, eq, gt, isNull, lt, or, sql } from 'drizzle-orm';
import type { OutputChunk } from '../../contract/tasks/runs.ts';
import type { Database } from '../connect.ts';
import { leases, llmTasks, taskOutput } from '../schema.ts';

/** How long after the end of an attempt its last chunks may arrive, in milliseconds. */
const TAIL_MS = 60_000;

/**
 * Stores output of a running program. Ignores existing chunks, so that a request with a lost answer can be
 * repeated.
 * @returns false when the node no longer has this lease on the task; then nothing is stored
 */
export async function appendOutput(
  db: Database,
  input: { taskId: string; epoch: number; node: string; chunks: readonly OutputChunk[] },
): Promise<boolean> {
  const { taskId, epoch, node, chunks } = input;
  const now = Date.now();
  return await db.transaction(async (tx) => {
    // The last chunks may arrive just after the end of the attempt.
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
            // Clamped to the control plane's clock, because retention uses it.
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

/** Returns an attempt's output after a sequence number, in order. */
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

/** Chunks read per query, from the end. */
const BACK_BATCH = 200;

/**
 * Finds the start of an attempt's last lines.
 * @returns the sequence number before them, or -1 when the attempt has no earlier lines
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

/**
 * Deletes output older than a time (epoch milliseconds), except that of tasks that have not ended.
 * @returns how many rows
 */
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
