import type { ServerEvent } from '../../contract/events.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { SyncAction } from '../../contract/http/primitives.ts';
import type { SyncRoundResult, WaveResult } from '../../contract/workflows.ts';
import type { Database } from '../connect.ts';
import { isQuiet } from '../automatic-triggers.ts';
import { jobs } from '../schema.ts';
import { toJob } from '../to-contract.ts';
import { emitEvents, lockEvents } from './emit-events.ts';
import { findSpaceNodes } from './find-spaces.ts';
import { jobFigures } from './record-round-finished.ts';
import { updateSpaceNodes } from './update-space-nodes.ts';

/** A wave's results on its nodes, and the workflow that ran it. */
export interface RecordedWave {
  readonly space: SpaceConfig;
  readonly workflowId: string;
  readonly runId: string;
  readonly results: readonly WaveResult[];
}

/**
 * Records the results of a wave: one job for each node that transferred or must report something, and every
 * node's totals in the space. A repeated call finds these jobs and adds nothing twice.
 */
export async function recordWave(db: Database, wave: RecordedWave): Promise<void> {
  const { space, workflowId, runId } = wave;
  const rounds = wave.results.map((told) => ({ told, result: roundOf(told) }));
  const loud = rounds.filter(({ told, result }) => !isQuiet([requestOf(told)], result));
  await db.transaction(async (tx) => {
    const rows = loud.map(({ told, result }) => ({
      id: told.jobId,
      action: actionOf(told),
      trigger: told.trigger,
      project: space.projectId,
      canonical_id: space.cid,
      agent: told.node,
      workflow_id: workflowId,
      run_id: runId,
      created_at: told.startedAt,
      ...jobFigures({ result, finishedAt: told.finishedAt }),
    }));
    const added =
      rows.length === 0 ? [] : await tx.insert(jobs).values(rows).onConflictDoNothing().returning();
    const isNew = new Set(added.map(({ id }) => id));
    const unrecorded = rounds.filter((round) => !loud.includes(round) || isNew.has(round.told.jobId));
    await updateSpaceNodes(
      tx,
      space.cid,
      unrecorded.map(({ told: { node, finishedAt }, result }) => ({ node, finishedAt, result })),
    );
    await lockEvents(tx);
    const changed = await findSpaceNodes(
      tx,
      space.cid,
      rounds.map(({ told }) => told.node),
    );
    const events: ServerEvent[] = [
      ...added.map((row) => ({ type: 'job' as const, job: toJob(row) })),
      ...changed.map((node) => ({ type: 'space-node' as const, node })),
    ];
    await emitEvents(tx, events, Math.max(...wave.results.map(({ finishedAt }) => finishedAt)));
  });
}

const actionOf = ({ push, pull }: WaveResult): SyncAction =>
  push === null ? 'pull' : pull === null ? 'push' : 'sync';

const requestOf = (told: WaveResult) => ({
  jobId: told.jobId,
  action: actionOf(told),
  trigger: told.trigger,
  requestedAt: told.startedAt,
});

const roundOf = ({ jobId, push, pull, startedAt, finishedAt }: WaveResult): SyncRoundResult => ({
  jobIds: [jobId],
  push,
  pull,
  error: null,
  ms: finishedAt - startedAt,
});
