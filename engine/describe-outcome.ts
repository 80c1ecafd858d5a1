import { WorkflowNotFoundError, type Client, type WorkflowExecutionDescription } from '@temporalio/client';

/**
 * Describes how a workflow ended, for people.
 * @param ref.runId one run of it. Its successors count as the same work: runs that continued it as new, or
 * that a reset created. A run started later under the same id is other work. When empty or absent, the newest
 * run counts.
 * @returns null while it runs; `ended as terminated`, or `is gone` when Temporal knows no such workflow
 * @throws Temporal's errors
 */
export async function describeOutcome(
  client: Client,
  ref: { readonly workflowId: string; readonly runId?: string },
): Promise<string | null> {
  const { workflowId, runId = '' } = ref;
  const describe = (run?: string) => client.workflow.getHandle(workflowId, run).describe();
  try {
    const newest = await describe();
    if (runId === '' || newest.runId === runId) return describeEnd(newest);
    const asked = await describe(runId);
    return firstRunOf(asked) === firstRunOf(newest) ? describeEnd(newest) : describeEnd(asked);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'is gone';
    throw error;
  }
}

const describeEnd = ({ status }: WorkflowExecutionDescription): string | null =>
  status.name === 'RUNNING' ? null : `ended as ${status.name.toLowerCase().replaceAll('_', ' ')}`;

/** Returns the first run's id, which all runs of a chain share. */
const firstRunOf = ({ raw }: WorkflowExecutionDescription): string =>
  raw.workflowExecutionInfo?.firstRunId ?? '';
