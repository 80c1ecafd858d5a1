import { randomBytes } from 'node:crypto';
import { WithStartWorkflowOperation, type Client, type Workflow } from '@temporalio/client';
import {
  CONTROL_QUEUE,
  MESSAGES,
  memorySpaceId,
  syncMemoryId,
  type MemorySpaceInput,
  type SyncMemoryInput,
  type SyncRequest,
  type SyncRoundResult,
} from '../contract/workflows.ts';
import type { SpaceConfig } from '../contract/memory/memory.ts';
import { searchAttributes } from './search-attributes.ts';
import { signalWorkflow } from './signal-workflow.ts';

/** A new job's id: `job_` and 16 random hex digits. */
export function newJobId(): string {
  return `job_${randomBytes(8).toString('hex')}`;
}

/** How a started or joined workflow is named. */
export interface WorkflowRef {
  readonly workflowId: string;
  readonly runId: string;
}

function syncOptions(input: SyncMemoryInput) {
  return {
    workflowId: syncMemoryId(input.space.cid, input.node),
    taskQueue: CONTROL_QUEUE,
    args: [input] as [SyncMemoryInput],
    staticSummary: `memory of ${input.space.projectId} on ${input.node}`,
    typedSearchAttributes: searchAttributes({ project: input.space.projectId, node: input.node }),
  };
}

/**
 * Asks for a sync of one node and returns at once. A sync that runs already takes the request into its next round,
 * so a request is never lost and never runs beside another.
 */
export async function requestSync(
  client: Client,
  input: SyncMemoryInput,
  request: SyncRequest,
): Promise<WorkflowRef> {
  const handle = await client.workflow.signalWithStart('syncMemory', {
    ...syncOptions(input),
    signal: MESSAGES.requestSync,
    signalArgs: [{ ...request, space: input.space }],
  });
  return { workflowId: handle.workflowId, runId: handle.signaledRunId };
}

/**
 * Asks for a sync of one node and waits for the end of the round that serves it.
 * @throws the engine's errors; a sync that failed is not thrown but told in the result's `error`
 */
export async function syncAndWait(
  client: Client,
  input: SyncMemoryInput,
  request: SyncRequest,
): Promise<SyncRoundResult> {
  const startWorkflowOperation = new WithStartWorkflowOperation('syncMemory', {
    ...syncOptions(input),
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
  return await client.workflow.executeUpdateWithStart<Workflow, SyncRoundResult, [SyncRequest]>(
    MESSAGES.syncAndWait,
    {
      startWorkflowOperation,
      args: [{ ...request, space: input.space }],
      updateId: request.jobId,
    },
  );
}

function spaceOptions(space: SpaceConfig) {
  const input: MemorySpaceInput = { space, pending: [], waves: true };
  return {
    workflowId: memorySpaceId(space.cid),
    taskQueue: CONTROL_QUEUE,
    args: [input] as [MemorySpaceInput],
    staticSummary: `memory space of ${space.projectId}`,
    typedSearchAttributes: searchAttributes({ project: space.projectId, space: space.cid }),
  };
}

/** Makes sure that the workflow of a space runs, and tells it the space's present configuration. */
export async function ensureMemorySpace(client: Client, space: SpaceConfig): Promise<void> {
  await client.workflow.signalWithStart('memorySpace', {
    ...spaceOptions(space),
    signal: MESSAGES.configureSpace,
    signalArgs: [space],
  });
}

/** Tells the workflow of a space to serve nodes in waves. Only a run that version 0.4 began needs it. */
export async function moveToWaves(client: Client, cid: string): Promise<void> {
  await signalWorkflow(client, memorySpaceId(cid), MESSAGES.useWaves);
}

/** Tells the workflow of a space that claude-mem wrote something on a node. Starts the workflow if it does not run. */
export async function tellNoticed(client: Client, space: SpaceConfig, node: string): Promise<void> {
  await client.workflow.signalWithStart('memorySpace', {
    ...spaceOptions(space),
    signal: MESSAGES.nodeNoticed,
    signalArgs: [node],
  });
}

/** Ends the workflow of a space that was deleted; a workflow that has ended already is fine. */
export async function closeMemorySpace(client: Client, cid: string): Promise<void> {
  await signalWorkflow(client, memorySpaceId(cid), MESSAGES.closeSpace);
}

/**
 * The address of a workflow's history in the Temporal UI.
 * @param uiUrl the UI's base address, or null when it is not known
 */
export function historyUrl(uiUrl: string | null, namespace: string, ref: WorkflowRef): string | null {
  if (uiUrl === null) return null;
  const id = encodeURIComponent(ref.workflowId);
  return `${uiUrl.replace(/\/$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows/${id}/${ref.runId}/history`;
}
