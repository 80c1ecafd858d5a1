import { WorkflowNotFoundError, type Client } from '@temporalio/client';

/** Sends a signal to a workflow. Does nothing if the workflow has ended or never existed. */
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
