import { ApplicationFailure, isCancellation, proxyActivities, setCurrentDetails } from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';
import type { DeliverWebhookInput } from '../contract/tasks/webhooks.ts';
import { control } from './control.ts';

/** How long delivery is retried: a receiver that is down for a day still gets the event. */
const OVERALL_TIMEOUT = '24 hours';

const { postWebhook } = proxyActivities<ControlActivities>({
  startToCloseTimeout: '30 seconds',
  scheduleToCloseTimeout: OVERALL_TIMEOUT,
  retry: { initialInterval: '5 seconds', backoffCoefficient: 2, maximumInterval: '1 hour' },
});
/**
 * Reports the end of a task to one webhook, until it accepts, refuses for good, or a day has passed. Records
 * the outcome.
 */
export async function deliverWebhook(input: DeliverWebhookInput): Promise<void> {
  const { taskId, deliveryId } = input;
  let delivered = false;
  let detail: string;
  try {
    detail = await postWebhook(input);
    delivered = true;
  } catch (error) {
    if (isCancellation(error)) throw error;
    detail = lastTryError(error);
  }
  setCurrentDetails(detail);
  await control.recordWebhook({ taskId, deliveryId, delivered, detail });
}

/** Returns the last try's own failure, which Temporal wraps when it gives up. */
function lastTryError(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (!(cause instanceof ApplicationFailure)) continue;
    return cause.nonRetryable === true
      ? cause.message
      : `${cause.message}; given up after ${OVERALL_TIMEOUT}`;
  }
  return `no answer; given up after ${OVERALL_TIMEOUT}`;
}
