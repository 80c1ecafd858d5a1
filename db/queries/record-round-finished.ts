import { and, desc, eq, inArray, sql } from 'drizzle-orm';
import type { ServerEvent } from '../../contract/events.ts';
import type { SpaceConfig } from '../../contract/memory.ts';
import type { SyncRoundResult } from '../../contract/workflows.ts';
import type { Database, Executor } from '../connect.ts';
import { isQuiet, type RoundRequest } from '../quiet-rounds.ts';
import { finishedDetail, isComplete } from '../round-detail.ts';
import { jobs, spaceNodes } from '../schema.ts';
import { toJob } from '../to-contract.ts';
import { emitEvents, lockEvents } from './emit-events.ts';
import { findSpaceNodes } from './find-spaces.ts';

/** A round of syncMemory that ended; times are epoch ms. */
export interface RoundFinished {
  readonly space: SpaceConfig;
  readonly node: string;
  readonly requests: readonly RoundRequest[];
  readonly result: SyncRoundResult;
  readonly finishedAt: number;
}

/**
 * Records how a round ended: its jobs, and its node's totals in the space. A repeated call finds no unfinished job and
 * changes nothing, so totals are never added twice. A round that nobody asked for and that did nothing leaves no job:
 * its rows are deleted (see isQuiet), and browsers are told.
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
    await updateSpaceNode(tx, input);
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

/** The figures of the round; each job that it served shows them. */
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
    ...traffic(result),
    finished_at: finishedAt,
    ms: Math.round(result.ms),
  };
}

function traffic({ push, pull }: SyncRoundResult) {
  const sum = (field: 'requests' | 'bytesUp' | 'bytesDown'): number =>
    (push?.traffic[field] ?? 0) + (pull?.traffic[field] ?? 0);
  return { requests: sum('requests'), bytes_up: sum('bytesUp'), bytes_down: sum('bytesDown') };
}

/** Adds what a round did to its node's totals in the space, and says how the node stands there. */
export async function updateSpaceNode(
  tx: Executor,
  { space, node, result, finishedAt }: Omit<RoundFinished, 'requests'>,
): Promise<void> {
  const { push, pull } = result;
  const { bytes_up, bytes_down } = traffic(result);
  const received = (pull?.inserted ?? 0) + (pull?.updated ?? 0);
  const failed = isComplete(result) ? await failureOfOther(tx, { cid: space.cid, node, push, pull }) : null;
  // An update only: a node or space that was removed while the round ran stays removed.
  await tx
    .update(spaceNodes)
    .set({
      status: isComplete(result) && failed === null ? 'in-step' : 'failed',
      detail: failed ?? finishedDetail(result),
      rows_sent: sql`${spaceNodes.rows_sent} + ${push?.rows ?? 0}`,
      rows_received: sql`${spaceNodes.rows_received} + ${received}`,
      bytes_up: sql`${spaceNodes.bytes_up} + ${bytes_up}`,
      bytes_down: sql`${spaceNodes.bytes_down} + ${bytes_down}`,
      ...(push === null ? {} : { last_push_at: finishedAt }),
      ...(pull === null ? {} : { last_pull_at: finishedAt }),
      ...(push?.head == null ? {} : { head_epoch: push.head.epoch, head_seq: push.head.seq }),
    })
    .where(and(eq(spaceNodes.cid, space.cid), eq(spaceNodes.node_id, node)));
}

/**
 * What the last failed round said of the half that a round did not do: a push that succeeds says nothing of a pull that failed.
 * @returns null when that half succeeded since, or never failed
 */
async function failureOfOther(
  tx: Executor,
  { cid, node, push, pull }: { cid: string; node: string } & Pick<SyncRoundResult, 'push' | 'pull'>,
): Promise<string | null> {
  if (push !== null && pull !== null) return null;
  const [last] = await tx
    .select()
    .from(spaceNodes)
    .where(and(eq(spaceNodes.cid, cid), eq(spaceNodes.node_id, node)));
  const doneAt = (push === null ? last?.last_push_at : last?.last_pull_at) ?? 0;
  const [job] = await tx
    .select({ detail: jobs.detail, finishedAt: jobs.finished_at })
    .from(jobs)
    .where(
      and(
        eq(jobs.canonical_id, cid),
        eq(jobs.agent, node),
        eq(jobs.status, 'failed'),
        inArray(jobs.action, [push === null ? 'push' : 'pull', 'sync']),
      ),
    )
    .orderBy(desc(jobs.finished_at))
    .limit(1);
  return job !== undefined && (job.finishedAt ?? 0) > doneAt ? job.detail : null;
}
