import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { CloneAction } from '../contract/projects/projects.ts';
import {
  CONTROL_QUEUE,
  MESSAGES,
  cloneProjectId,
  fetchScheduleId,
  propagateProjectId,
  scheduledRunId,
  updateScheduleId,
  type CloneProjectInput,
  type CloneRequest,
  type NodeSettled,
  type PropagateInput,
} from '../contract/workflows.ts';
import type { WorkflowRef } from './memory-workflows.ts';
import { searchAttributes } from './search-attributes.ts';
import { signalWorkflow } from './signal-workflow.ts';

/**
 * Asks for a clone of one project on one node, or a look at it. What runs already for this project and node takes the request
 * in, so that two never work on one folder.
 */
export async function requestClone(
  client: Client,
  target: { projectId: string; node: string },
  request: CloneRequest,
): Promise<WorkflowRef> {
  const { projectId, node } = target;
  const input: CloneProjectInput = { projectId, node };
  const handle = await client.workflow.signalWithStart('cloneProject', {
    workflowId: cloneProjectId(projectId, node),
    taskQueue: CONTROL_QUEUE,
    args: [input],
    staticSummary: `${request.spec.name} on ${node}`,
    typedSearchAttributes: searchAttributes({ project: request.spec.name, node }),
    signal: MESSAGES.requestClone,
    signalArgs: [request],
  });
  return { workflowId: handle.workflowId, runId: handle.signaledRunId };
}

/** The id of the workflow that has many nodes do one thing with a project. */
function idOf(projectId: string, action: CloneAction): string {
  if (action === 'clone') return propagateProjectId(projectId);
  return action === 'fetch' ? fetchScheduleId(projectId) : updateScheduleId(projectId);
}

/** Has many nodes clone, update or look at a project; one that runs already takes the nodes in. */
export async function requestPropagation(
  client: Client,
  input: PropagateInput & { name: string },
): Promise<WorkflowRef> {
  const { name, ...rest } = input;
  const workflowId = idOf(input.projectId, input.action);
  const options = {
    workflowId,
    taskQueue: CONTROL_QUEUE,
    args: [rest] as [PropagateInput],
    staticSummary: `${input.action} ${name} on ${input.nodes === null ? 'every node' : `${input.nodes.length} nodes`}`,
    typedSearchAttributes: searchAttributes({ project: name }),
  };
  for (;;) {
    try {
      const handle = await client.workflow.start('propagateProject', {
        ...options,
        workflowIdConflictPolicy: 'FAIL',
      });
      return { workflowId, runId: handle.firstExecutionRunId };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    const running = client.workflow.getHandle(workflowId);
    try {
      const { runId } = await running.describe();
      await running.signal(MESSAGES.addNodes, input.nodes);
      return { workflowId, runId };
    } catch (error) {
      // It ended in between: a new one is started.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  }
}

/**
 * Cancels what one node does with a project. By a message rather than by cancelling the workflow: what is asked for afterwards comes
 * after it, and is done.
 */
export async function cancelClone(client: Client, projectId: string, node: string): Promise<void> {
  await signalWorkflow(client, cloneProjectId(projectId, node), MESSAGES.cancelClone);
}

/** Ids of everything that may have many nodes work on a project at the moment, also of what its schedule started. */
async function propagationsOf(client: Client, projectId: string): Promise<string[]> {
  const ids = CloneAction.options.map((action) => idOf(projectId, action));
  const scheduled = [fetchScheduleId(projectId), updateScheduleId(projectId)].map(
    (id) => `WorkflowId STARTS_WITH '${scheduledRunId(id)}'`,
  );
  const runs = `(${scheduled.join(' OR ')}) AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of client.workflow.list({ query: runs })) ids.push(workflowId);
  return ids;
}

/** Cancels everything that has many nodes work on a project. */
export async function cancelPropagations(client: Client, projectId: string): Promise<void> {
  for (const workflowId of await propagationsOf(client, projectId)) {
    await signalWorkflow(client, workflowId, MESSAGES.cancelPropagation);
  }
}

/** Tells everybody who waits for a clone that it failed: its workflow ended without doing so. */
export async function tellFailed(
  client: Client,
  clone: { projectId: string; node: string; error: string },
): Promise<void> {
  const { projectId, node, error } = clone;
  const settled: NodeSettled = { node, status: 'failed', error };
  for (const workflowId of await propagationsOf(client, projectId)) {
    await signalWorkflow(client, workflowId, MESSAGES.nodeSettled, settled);
  }
}
