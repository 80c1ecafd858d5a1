import { WorkflowNotFoundError, type Client } from '@temporalio/client';

/**
 * How a workflow ended, for people.
 * @param ref.runId one run; the newest one when nothing is said
 * @returns null while it runs; `ended as terminated`, or `is gone` when the engine knows none
 * @throws the engine's errors
 */
export async function howItEnded(
  client: Client,
  ref: { readonly workflowId: string; readonly runId?: string },
): Promise<string | null> {
  try {
    const { status } = await client.workflow.getHandle(ref.workflowId, ref.runId).describe();
    return status.name === 'RUNNING' ? null : `ended as ${status.name.toLowerCase()}`;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'is gone';
    throw error;
  }
}
