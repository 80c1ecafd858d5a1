import { WorkflowNotFoundError, type Client } from '@temporalio/client';

/** Sends a workflow a message. One that has ended, or never was, is fine. */
export async function signalWorkflow(
  client: Client,
  workflowId: string,
  message: string,
  ...args: unknown[]
): Promise<void> {
  try {
    await client.workflow.getHandle(workflowId).signal(message, ...args);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
