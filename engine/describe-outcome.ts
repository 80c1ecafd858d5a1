import { WorkflowNotFoundError, type Client, type WorkflowExecutionDescription } from '@temporalio/client';

/**
 * How a workflow ended, for people.
 * @param ref.runId one run of it, whose successors count as the same work: those that continued it as new, or that somebody reset
 *   it to. A run that was started later under the same id is other work. Empty or absent: the newest run, whatever it is.
 * @returns null while it runs; `ended as terminated`, or `is gone` when Temporal knows none
 * @throws the engine's errors
 */
export async function describeOutcome(
  client: Client,
  ref: { readonly workflowId: string; readonly runId?: string },
): Promise<string | null> {
  const { workflowId, runId = '' } = ref;
  const describe = (run?: string) => client.workflow.getHandle(workflowId, run).describe();
  try {
    const newest = await describe();
    if (runId === '' || newest.runId === runId) return ended(newest);
    const asked = await describe(runId);
    return firstRunOf(asked) === firstRunOf(newest) ? ended(newest) : ended(asked);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'is gone';
    throw error;
  }
}

const ended = ({ status }: WorkflowExecutionDescription): string | null =>
  status.name === 'RUNNING' ? null : `ended as ${status.name.toLowerCase().replaceAll('_', ' ')}`;

/** Temporal gives the runs of one chain the id of its first run. */
const firstRunOf = ({ raw }: WorkflowExecutionDescription): string =>
  raw.workflowExecutionInfo?.firstRunId ?? '';
