import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
import { MembridgeError } from '../../contract/errors.ts';
import type { SyncCall } from '../../memory/engine.ts';
import { toFailure } from '../failures.ts';

/** How often a running activity sends a heartbeat, in milliseconds; its heartbeat timeout is 10 s. */
const HEARTBEAT_MS = 2_000;

/** Tries (5 s each) before a locked database is reported as an error. */
const MAX_LOCKED_TRIES = 3;

/**
 * Runs work of the memory engine as an activity: sends heartbeats, supports cancellation, and converts errors
 * to Temporal's form.
 * @param at.dryrun refuse with a clear message instead of acting (MEMBRIDGE_AGENT_DRYRUN=1)
 */
export async function runMemoryWork<T>(
  at: { node: string; dryrun: boolean },
  work: (call: SyncCall) => Promise<T>,
): Promise<T> {
  if (at.dryrun) {
    throw toFailure(
      new MembridgeError(
        'conflict',
        `Node ${at.node} runs with MEMBRIDGE_AGENT_DRYRUN=1: nothing was synced.`,
      ),
    );
  }
  let said = 'started';
  const timer = setInterval(() => heartbeat(said), HEARTBEAT_MS);
  const progress = (text: string): void => {
    said = text;
  };
  try {
    return await work({ signal: cancellationSignal(), progress });
  } catch (error) {
    if (cancellationSignal().aborted) throw cancellationSignal().reason;
    const isLocked = error instanceof MembridgeError && error.code === 'memory_locked';
    throw toFailure(error, isLocked && activityInfo().attempt >= MAX_LOCKED_TRIES ? { final: true } : {});
  } finally {
    clearInterval(timer);
  }
}
