import { ApplicationFailure, isCancellation, proxyActivities, setCurrentDetails } from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';
import type { DeliverWebhookInput } from '../contract/tasks/webhooks.ts';
import { control } from './control.ts';

/** For how long it is tried: a receiver that is down for a day is told when it is back. */
const OVERALL = '24 hours';

const { postWebhook } = proxyActivities<ControlActivities>({
  startToCloseTimeout: '30 seconds',
  scheduleToCloseTimeout: OVERALL,
  retry: { initialInterval: '5 seconds', backoffCoefficient: 2, maximumInterval: '1 hour' },
});
/** Tells one webhook that a task ended, until it takes it, refuses it for good, or a day is over; and records which. */
export async function deliverWebhook(input: DeliverWebhookInput): Promise<void> {
  const { taskId, deliveryId } = input;
  let delivered = false;
  let detail: string;
  try {
    detail = await postWebhook(input);
    delivered = true;
  } catch (error) {
    if (isCancellation(error)) throw error;
    detail = lastAnswer(error);
  }
  setCurrentDetails(detail);
  await control.recordWebhook({ taskId, deliveryId, delivered, detail });
}

/** What the last try came to: the failure of ours that the engine's own, of giving up, was made for. */
function lastAnswer(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (!(cause instanceof ApplicationFailure)) continue;
    return cause.nonRetryable === true ? cause.message : `${cause.message}; given up after ${OVERALL}`;
  }
  return `no answer; given up after ${OVERALL}`;
}
