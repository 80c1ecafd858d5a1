import { eq, inArray, sql } from 'drizzle-orm';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { Database } from '../connect.ts';
import { isAutomatic, type RoundRequest } from '../automatic-triggers.ts';
import { runningDetail } from '../round-detail.ts';
import { jobs, nodes, spaceNodes, spaces } from '../schema.ts';
import { toJob } from '../to-contract.ts';
import { emitEvents, lockEvents } from './emit-events.ts';
import { findSpaceNodes } from './find-spaces.ts';

/** A starting round of syncMemory; times are epoch milliseconds. */
export interface RoundStarted {
  readonly space: SpaceConfig;
  readonly node: string;
  readonly workflowId: string;
  readonly runId: string;
  readonly requests: readonly RoundRequest[];
  readonly startedAt: number;
}

/**
 * Records that a round runs: its jobs, and its node's state in the space. A repeated call changes nothing,
 * and never reopens a finished job. A deleted space or node is not recreated.
 */
export async function recordRoundStarted(db: Database, input: RoundStarted): Promise<void> {
  const { space, node, requests } = input;
  if (requests.length === 0) return;
  await db.transaction(async (tx) => {
    const started = await tx
      .insert(jobs)
      .values(
        requests.map((request) => ({
          id: request.jobId,
          action: request.action,
          trigger: request.trigger,
          project: space.projectId,
          canonical_id: space.cid,
          agent: node,
          status: 'running' as const,
          detail: runningDetail(request.action),
          workflow_id: input.workflowId,
          run_id: input.runId,
          created_at: request.requestedAt,
        })),
      )
      .onConflictDoUpdate({
        target: jobs.id,
        set: { status: 'running', detail: sql`excluded.detail`, run_id: input.runId },
        setWhere: inArray(jobs.status, ['pending', 'running']),
      })
      .returning();
    const present = await tx
      .select({ cid: spaces.cid })
      .from(spaces)
      .innerJoin(nodes, eq(nodes.id, node))
      .where(eq(spaces.cid, space.cid));
    if (present.length > 0 && started.length > 0) {
      await tx
        .insert(spaceNodes)
        .values({ cid: space.cid, node_id: node, status: 'syncing', detail: 'syncing' })
        .onConflictDoUpdate({
          target: [spaceNodes.cid, spaceNodes.node_id],
          set: { status: 'syncing', detail: 'syncing' },
        });
    }
    await lockEvents(tx);
    const changed = await findSpaceNodes(tx, space.cid, [node]);
    // An automatic round is announced when it ends, if it did anything: see isQuiet.
    const told = isAutomatic(requests) ? [] : started;
    await emitEvents(
      tx,
      [
        ...told.map((row) => ({ type: 'job' as const, job: toJob(row) })),
        ...changed.map((record) => ({ type: 'space-node' as const, node: record })),
      ],
      input.startedAt,
    );
  });
}
