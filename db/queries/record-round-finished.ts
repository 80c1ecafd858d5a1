import { and, inArray } from 'drizzle-orm';
import type { ServerEvent } from '../../contract/events.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { SyncRoundResult } from '../../contract/workflows.ts';
import type { Database } from '../connect.ts';
import { isQuiet, type RoundRequest } from '../automatic-triggers.ts';
import { finishedDetail } from '../round-detail.ts';
import { jobs } from '../schema.ts';
import { toJob } from '../to-contract.ts';
import { emitEvents, lockEvents } from './emit-events.ts';
import { findSpaceNodes } from './find-spaces.ts';
import { trafficOf, updateSpaceNodes } from './update-space-nodes.ts';

/** A finished round of syncMemory; times are epoch milliseconds. */
export interface RoundFinished {
  readonly space: SpaceConfig;
  readonly node: string;
  readonly requests: readonly RoundRequest[];
  readonly result: SyncRoundResult;
  readonly finishedAt: number;
}

/**
 * Records the end of a round: its jobs, and its node's totals in the space. A repeated call finds no
 * unfinished job and changes nothing, so totals are never added twice. An automatic round that did nothing
 * leaves no job: its rows are deleted (see isQuiet), and browsers are notified.
 */
export async function recordRoundFinished(db: Database, input: RoundFinished): Promise<void> {
  const ids = input.requests.map((request) => request.jobId);
  if (ids.length === 0) return;
  const unfinished = and(inArray(jobs.id, ids), inArray(jobs.status, ['pending', 'running']));
  await db.transaction(async (tx) => {
    const quiet = isQuiet(input.requests, input.result);
    const ended = quiet
      ? await tx.delete(jobs).where(unfinished).returning()
      : await tx.update(jobs).set(jobFigures(input)).where(unfinished).returning();
    if (ended.length === 0) return;
    await updateSpaceNodes(tx, input.space.cid, [input]);
    await lockEvents(tx);
    const changed = await findSpaceNodes(tx, input.space.cid, [input.node]);
    const ends = ended.map((row): ServerEvent =>
      quiet ? { type: 'job-removed', id: row.id } : { type: 'job', job: toJob(row) },
    );
    const events: ServerEvent[] = [
      ...ends,
      ...changed.map((record) => ({ type: 'space-node' as const, node: record })),
    ];
    await emitEvents(tx, events, input.finishedAt);
  });
}

/** Returns the figures of the round; each job that it served shows them. */
export function jobFigures({ result, finishedAt }: Pick<RoundFinished, 'result' | 'finishedAt'>) {
  const { push, pull, error } = result;
  return {
    status: error === null ? ('completed' as const) : ('failed' as const),
    detail: finishedDetail(result),
    error_code: error?.code ?? null,
    rows_sent: push?.rows ?? 0,
    rows_inserted: pull?.inserted ?? 0,
    rows_updated: pull?.updated ?? 0,
    rows_deleted: pull?.deleted ?? 0,
    ...trafficOf(result),
    finished_at: finishedAt,
    ms: Math.round(result.ms),
  };
}
