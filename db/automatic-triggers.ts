import type { SyncTrigger } from '../contract/http/primitives.ts';
import type { SyncRequest, SyncRoundResult } from '../contract/workflows.ts';

/** A request of a round, and when it was made (epoch milliseconds). */
export interface RoundRequest extends SyncRequest {
  readonly requestedAt: number;
}

/** Syncs that the system requests automatically, many times an hour; no caller waits for their result. */
const AUTOMATIC_TRIGGERS: ReadonlySet<SyncTrigger> = new Set(['noticed', 'catch-up', 'fan-out']);

/** Returns whether no person or script requested a round. */
export function isAutomatic(requests: readonly RoundRequest[]): boolean {
  return requests.every((request) => AUTOMATIC_TRIGGERS.has(request.trigger));
}

/**
 * Returns whether a round leaves no job: it was automatic, and there was nothing to do or report. Such jobs
 * would bury the syncs that transferred something.
 */
export function isQuiet(requests: readonly RoundRequest[], result: SyncRoundResult): boolean {
  const { push, pull } = result;
  const moved = (push?.rows ?? 0) + (pull?.inserted ?? 0) + (pull?.updated ?? 0) + (pull?.deleted ?? 0);
  const problems = (pull?.problems.length ?? 0) + (push?.withheld?.length ?? 0);
  return isAutomatic(requests) && moved === 0 && problems === 0 && result.error === null;
}
