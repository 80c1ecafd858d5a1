import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/workflow';

/**
 * Returns an activity's failure as a code of our error table.
 * @param timedOut what to report when Temporal timed out the activity
 */
export function failureOf(
  error: unknown,
  timedOut: { code: string; message: string },
): { code: string; message: string } {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) return { code: cause.type ?? 'internal', message: cause.message };
  const message = cause instanceof Error ? cause.message : String(cause);
  return { code: timedOut.code, message: `${timedOut.message}: ${message}` };
}

/** Returns whether no worker took an activity in time. */
export function isNotTaken(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  return cause instanceof TimeoutFailure && cause.timeoutType === 'SCHEDULE_TO_START';
}
