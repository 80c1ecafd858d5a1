import type { SyncTrigger } from '../contract/http/primitives.ts';
import type { SyncRequest, SyncRoundResult } from '../contract/workflows.ts';

/** One request of a round, and when it was made (epoch ms). */
export interface RoundRequest extends SyncRequest {
  readonly requestedAt: number;
}

/** Syncs that the system asks for by itself, many times an hour; nobody waits for their answer. */
const BY_ITSELF: ReadonlySet<SyncTrigger> = new Set(['noticed', 'catch-up', 'fan-out']);

/** Whether no person or script asked for a round. */
export function isAutomatic(requests: readonly RoundRequest[]): boolean {
  return requests.every((request) => BY_ITSELF.has(request.trigger));
}

/**
 * Whether a round leaves no job behind: nobody asked for it, and there was nothing to do and nothing to tell. Kept, such
 * rounds would bury the syncs that moved something.
 */
export function isQuiet(requests: readonly RoundRequest[], result: SyncRoundResult): boolean {
  const { push, pull } = result;
  const moved = (push?.rows ?? 0) + (pull?.inserted ?? 0) + (pull?.updated ?? 0) + (pull?.deleted ?? 0);
  const problems = (pull?.problems.length ?? 0) + (push?.withheld?.length ?? 0);
  return isAutomatic(requests) && moved === 0 && problems === 0 && result.error === null;
}
