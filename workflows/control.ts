import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
} from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';

/** Time limit per call. */
const CALL_TIMEOUT = '20 seconds';
/** Tries as a local activity before a regular activity takes over; together about seven seconds. */
const LOCAL_TRIES = 4;

type Call = (...args: unknown[]) => Promise<unknown>;

const beside = proxyLocalActivities({
  startToCloseTimeout: CALL_TIMEOUT,
  retry: { initialInterval: '500 milliseconds', maximumAttempts: LOCAL_TRIES },
}) as Record<string, Call>;
const byEngine = proxyActivities({
  startToCloseTimeout: CALL_TIMEOUT,
  retry: { maximumInterval: '1 minute' },
}) as Record<string, Call>;

/**
 * The control plane's activities, for workflows. Each call first runs as a local activity, which costs one
 * event. If that fails for seconds (PostgreSQL is away), a regular activity retries until it works. A waiting
 * local activity would cost 24 events a minute, and after 38 hours Temporal would end the workflow.
 * @throws ActivityFailure when the activity says that a retry cannot help
 */
export const control = new Proxy(
  {},
  {
    get: (_target, name: string): Call => {
      return async (...args) => {
        try {
          return await beside[name]?.(...args);
        } catch (error) {
          if (isCancellation(error) || isFinal(error)) throw error;
          return await byEngine[name]?.(...args);
        }
      };
    },
  },
) as ControlActivities;

function isFinal(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure && cause.nonRetryable === true;
}
