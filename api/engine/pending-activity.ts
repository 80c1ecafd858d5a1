import { defaultPayloadConverter } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import { nodeQueue } from '../../contract/workflows.ts';

/** What Temporal knows about an activity that has not ended. */
export interface PendingActivity {
  readonly attempt: number;
  /** Whether a worker has it now. */
  readonly started: boolean;
  /** The message of the previous attempt's failure. */
  readonly failure: string | null;
  /** When the next attempt is due, epoch ms. */
  readonly nextAt: number | null;
  /** The details of its last heartbeat, unchecked. */
  readonly heartbeat: unknown;
}

/**
 * Describes what an activity on a node waits for, in one sentence; null when it simply runs.
 * @param at.now epoch ms
 */
export function describePending(
  pending: PendingActivity,
  at: { node: string; online: boolean; now: number },
): string | null {
  if (pending.started) {
    if (pending.failure === null) return null;
    return `attempt ${pending.attempt} runs; the previous one failed: ${pending.failure}`;
  }
  const seconds = pending.nextAt === null ? 0 : Math.ceil((pending.nextAt - at.now) / 1_000);
  if (pending.failure !== null && seconds > 0) {
    return `attempt ${pending.attempt - 1}: ${pending.failure}; next try in ${seconds} s`;
  }
  return at.online ? `waits for node ${at.node} to take it` : `waits for node ${at.node} to come back`;
}

type RawPending = temporal.api.workflow.v1.IPendingActivityInfo;

/** Returns the activity on a node's queue with the most attempts; a server that names no queue counts as the node's. */
export function nodeActivity(all: readonly RawPending[], node: string): PendingActivity | null {
  const [worst] = all
    .filter((raw) => {
      const queue = raw.activityOptions?.taskQueue?.name ?? '';
      return queue === '' || queue === nodeQueue(node);
    })
    .sort((a, b) => (b.attempt ?? 0) - (a.attempt ?? 0));
  if (worst === undefined) return null;
  const [details] = worst.heartbeatDetails?.payloads ?? [];
  return {
    attempt: worst.attempt ?? 1,
    started: worst.lastStartedTime != null && Number(worst.state) !== SCHEDULED_STATE,
    failure: worst.lastFailure?.message ?? null,
    nextAt: toMs(worst.nextAttemptScheduleTime ?? worst.scheduledTime),
    heartbeat: details === undefined ? undefined : defaultPayloadConverter.fromPayload(details),
  };
}

/** PENDING_ACTIVITY_STATE_SCHEDULED of Temporal's API: no worker has it. */
const SCHEDULED_STATE = 1;

function toMs(time: RawPending['scheduledTime']): number | null {
  return time?.seconds == null ? null : Number(time.seconds) * 1_000 + Math.floor((time.nanos ?? 0) / 1e6);
}
