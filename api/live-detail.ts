import type { temporal } from '@temporalio/proto';
import type { Job } from '../contract/memory.ts';
import { nodeQueue } from '../contract/workflows.ts';
import { getNode } from '../db/queries/get-node.ts';
import type { Deps } from './deps.ts';
import { callEngine } from './engine-calls.ts';

/** What Temporal knows of an activity that has not ended. */
export interface PendingActivity {
  readonly attempt: number;
  /** Whether a worker has it now. */
  readonly started: boolean;
  /** What the attempt before said when it failed. */
  readonly failure: string | null;
  /** When the next attempt is due, epoch ms. */
  readonly nextAt: number | null;
}

/** How long Temporal may take to describe a workflow, in milliseconds: the job is shown without it then. */
const DESCRIBE_DEADLINE_MS = 2_000;

/**
 * A job that has not ended, with what it waits for at this moment as its detail. Temporal knows it best; without Temporal
 * the job stays as it was recorded.
 */
export async function withLiveDetail(job: Job, deps: Deps): Promise<Job> {
  if (job.status !== 'running' && job.status !== 'pending') return job;
  const now = deps.now();
  try {
    const description = await callEngine(
      deps.engine,
      (client) => client.workflow.getHandle(job.workflow_id).describe(),
      DESCRIBE_DEADLINE_MS,
    );
    const pending = nodeActivity(description.raw.pendingActivities ?? [], job.agent);
    if (pending === null) return job;
    const node = await getNode(deps.db, { id: job.agent, now });
    const detail = describePending(pending, { node: job.agent, online: node?.status === 'online', now });
    return detail === null ? job : { ...job, detail };
  } catch (error) {
    deps.logger.debug({ err: error, job: job.id }, 'no live detail for this job');
    return job;
  }
}

/**
 * What an activity on a node waits for, in one sentence; null when it simply runs.
 * @param at.now epoch ms
 */
export function describePending(
  pending: PendingActivity,
  at: { node: string; online: boolean; now: number },
): string | null {
  if (pending.started) {
    if (pending.failure === null) return null;
    return `attempt ${pending.attempt} runs; the one before failed: ${pending.failure}`;
  }
  const seconds = pending.nextAt === null ? 0 : Math.ceil((pending.nextAt - at.now) / 1_000);
  if (pending.failure !== null && seconds > 0) {
    return `attempt ${pending.attempt - 1}: ${pending.failure}; next try in ${seconds} s`;
  }
  return at.online ? `waits for node ${at.node} to take it` : `waits for node ${at.node} to come back`;
}

type RawPending = temporal.api.workflow.v1.IPendingActivityInfo;

/** The activity on a node's queue that has been tried most; a server that names no queue counts as the node's. */
function nodeActivity(all: readonly RawPending[], node: string): PendingActivity | null {
  const [worst] = all
    .filter((raw) => {
      const queue = raw.activityOptions?.taskQueue?.name ?? '';
      return queue === '' || queue === nodeQueue(node);
    })
    .sort((a, b) => (b.attempt ?? 0) - (a.attempt ?? 0));
  if (worst === undefined) return null;
  return {
    attempt: worst.attempt ?? 1,
    started: worst.lastStartedTime != null && Number(worst.state) !== SCHEDULED,
    failure: worst.lastFailure?.message ?? null,
    nextAt: toMs(worst.nextAttemptScheduleTime ?? worst.scheduledTime),
  };
}

/** PENDING_ACTIVITY_STATE_SCHEDULED of Temporal's API: no worker has it. */
const SCHEDULED = 1;

function toMs(time: RawPending['scheduledTime']): number | null {
  return time?.seconds == null ? null : Number(time.seconds) * 1_000 + Math.floor((time.nanos ?? 0) / 1e6);
}
