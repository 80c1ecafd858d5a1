import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
} from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';

/** How long one call may take. */
const CALL = '20 seconds';
/** Tries beside the workflow before the engine takes a call over. They take some seven seconds. */
const TRIES = 4;

type Call = (...args: unknown[]) => Promise<unknown>;

const beside = proxyLocalActivities({
  startToCloseTimeout: CALL,
  retry: { initialInterval: '500 milliseconds', maximumAttempts: TRIES },
}) as Record<string, Call>;
const byEngine = proxyActivities({
  startToCloseTimeout: CALL,
  retry: { maximumInterval: '1 minute' },
}) as Record<string, Call>;

/**
 * The activities of the control plane, for workflows. A call runs beside the workflow and costs one event. Where that does not work for
 * seconds (PostgreSQL is away), the engine takes it over and tries until it works: a local activity that waits costs 24 events a
 * minute, and after 38 hours the engine would end the workflow.
 * @throws ActivityFailure when the activity says that trying again cannot help
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
