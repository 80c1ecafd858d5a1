import { eq, inArray } from 'drizzle-orm';
import type { MirrorOutcome } from '../../contract/memory/mirror.ts';
import type { Database } from '../connect.ts';
import { singleLine } from '../single-line.ts';
import { jobs, leaderships } from '../schema.ts';
import { toJob } from '../to-contract.ts';
import { emitEvents } from './emit-events.ts';

/** Maximum number of characters stored of an error. */
const MAX_ERROR_CHARS = 1_000;

/** One publication of a space's mirror by its primary; times are epoch milliseconds. */
export interface MirrorRound {
  readonly cid: string;
  readonly project: string;
  readonly node: string;
  readonly jobId: string;
  /** Whether a person or script requested it; such a publication always has a job. */
  readonly isAsked: boolean;
  readonly workflowId: string;
  readonly runId: string;
  readonly startedAt: number;
  readonly outcome: MirrorOutcome | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/**
 * Records a publication as a job, unless it was automatic and has nothing to report. Nothing to report means
 * that it imported and published nothing, or failed for the reason already shown. A repeated call changes
 * nothing.
 */
export async function recordMirrorJob(db: Database, input: MirrorRound & { now: number }): Promise<void> {
  const { cid, outcome, error, now } = input;
  await db.transaction(async (tx) => {
    if (!input.isAsked) {
      const [known] = await tx
        .select({ error: leaderships.last_error })
        .from(leaderships)
        .where(eq(leaderships.cid, cid));
      const isShown = error !== null && withoutNumbers(error.message) === withoutNumbers(known?.error ?? '');
      const isQuiet = error === null && outcome?.published !== true && (outcome?.imported ?? 0) === 0;
      if (isShown || isQuiet) return;
    }
    const figures = {
      status: error === null ? ('completed' as const) : ('failed' as const),
      detail: singleLine(`mirror: ${error?.message ?? outcome?.line ?? 'done'}`, MAX_ERROR_CHARS),
      error_code: error?.code ?? null,
      rows_inserted: outcome?.imported ?? 0,
      requests: outcome?.requests ?? 0,
      bytes_up: outcome?.bytesUp ?? 0,
      bytes_down: outcome?.bytesDown ?? 0,
      finished_at: now,
      ms: now - input.startedAt,
      run_id: input.runId,
    };
    const recorded = await tx
      .insert(jobs)
      .values({
        id: input.jobId,
        action: 'sync',
        trigger: 'schedule',
        project: input.project,
        canonical_id: cid,
        agent: input.node,
        workflow_id: input.workflowId,
        created_at: input.startedAt,
        ...figures,
      })
      .onConflictDoUpdate({
        target: jobs.id,
        set: figures,
        setWhere: inArray(jobs.status, ['pending', 'running']),
      })
      .returning();
    await emitEvents(
      tx,
      recorded.map((row) => ({ type: 'job' as const, job: toJob(row) })),
      now,
    );
  });
}

/** Replaces numbers, because a refusal contains ages and times that differ at every try. */
const withoutNumbers = (message: string): string => message.replaceAll(/\d+/g, '#');
