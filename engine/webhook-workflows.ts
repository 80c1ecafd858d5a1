import { WorkflowExecutionAlreadyStartedError, type Client } from '@temporalio/client';
import { CONTROL_QUEUE, webhookId } from '../contract/names.ts';
import type { DeliverWebhookInput } from '../contract/tasks/webhooks.ts';
import { searchAttributes } from './search-attributes.ts';

/**
 * Starts the delivery of a webhook. A repeated request starts no second delivery.
 * @param seq the transition by which the task ended
 */
export async function startDelivery(client: Client, input: DeliverWebhookInput, seq: number): Promise<void> {
  try {
    await client.workflow.start('deliverWebhook', {
      workflowId: webhookId(input.taskId, seq),
      taskQueue: CONTROL_QUEUE,
      args: [input],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: `report the end of task ${input.taskId}`,
      typedSearchAttributes: searchAttributes({ task: input.taskId }),
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}
