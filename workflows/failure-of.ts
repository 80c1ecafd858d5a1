import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/workflow';

/**
 * What an activity failed with, as our error table names it.
 * @param timedOut what to say when the engine gave up rather than the activity
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

/** Whether the engine found nobody to take an activity in time. */
export function isNotTaken(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  return cause instanceof TimeoutFailure && cause.timeoutType === 'SCHEDULE_TO_START';
}
