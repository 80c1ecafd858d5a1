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
 * Requests a clone of one project on one node, or an inspection of it. The running workflow of this project
 * and node takes the request, so that two never work on one folder.
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

/** Returns the id of the workflow that does one thing with a project on many nodes. */
function workflowIdOf(projectId: string, action: CloneAction): string {
  if (action === 'clone') return propagateProjectId(projectId);
  return action === 'fetch' ? fetchScheduleId(projectId) : updateScheduleId(projectId);
}

/** Requests that many nodes clone, update or inspect a project; a running propagation takes the nodes. */
export async function requestPropagation(
  client: Client,
  input: PropagateInput & { name: string },
): Promise<WorkflowRef> {
  const { name, ...rest } = input;
  const workflowId = workflowIdOf(input.projectId, input.action);
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
      // The propagation ended in between, so a new one is started.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  }
}

/**
 * Cancels a node's work on a project. Sends a signal instead of canceling the workflow, so that later
 * requests are still served.
 */
export async function cancelClone(client: Client, projectId: string, node: string): Promise<void> {
  await signalWorkflow(client, cloneProjectId(projectId, node), MESSAGES.cancelClone);
}

/**
 * Returns the ids of all workflows that may have many nodes work on a project now, including those started by
 * its schedule.
 */
async function listPropagationIds(client: Client, projectId: string): Promise<string[]> {
  const ids = CloneAction.options.map((action) => workflowIdOf(projectId, action));
  const scheduled = [fetchScheduleId(projectId), updateScheduleId(projectId)].map(
    (id) => `WorkflowId STARTS_WITH '${scheduledRunId(id)}'`,
  );
  const runs = `(${scheduled.join(' OR ')}) AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of client.workflow.list({ query: runs })) ids.push(workflowId);
  return ids;
}

/** Cancels all propagations of a project. */
export async function cancelPropagations(client: Client, projectId: string): Promise<void> {
  for (const workflowId of await listPropagationIds(client, projectId)) {
    await signalWorkflow(client, workflowId, MESSAGES.cancelPropagation);
  }
}

/**
 * Notifies all workflows that wait for a clone that it failed, because its workflow ended without doing so.
 */
export async function signalCloneFailed(
  client: Client,
  clone: { projectId: string; node: string; error: string },
): Promise<void> {
  const { projectId, node, error } = clone;
  const settled: NodeSettled = { node, status: 'failed', error };
  for (const workflowId of await listPropagationIds(client, projectId)) {
    await signalWorkflow(client, workflowId, MESSAGES.nodeSettled, settled);
  }
}
