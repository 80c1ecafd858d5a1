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

/** Returns a new job id: `job_` and 16 random hex digits. */
export function newJobId(): string {
  return `job_${randomBytes(8).toString('hex')}`;
}

/** Identifies a started or joined workflow. */
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
 * Requests a sync of one node and returns at once. A running sync serves the request in its next round, so a
 * request is never lost and two syncs never run at once.
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
 * Requests a sync of one node and waits for the end of the round that serves it.
 * @throws Temporal's errors; a failed sync is reported in the result's `error` instead
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

/** Ensures that the workflow of a space runs, and sends it the space's current configuration. */
export async function ensureMemorySpace(client: Client, space: SpaceConfig): Promise<void> {
  await client.workflow.signalWithStart('memorySpace', {
    ...spaceOptions(space),
    signal: MESSAGES.configureSpace,
    signalArgs: [space],
  });
}

/** Switches a space's workflow to serving nodes in waves. Only runs begun by version 0.4 need it. */
export async function moveToWaves(client: Client, cid: string): Promise<void> {
  await signalWorkflow(client, memorySpaceId(cid), MESSAGES.useWaves);
}

/**
 * Notifies a space's workflow that claude-mem wrote something on a node. Starts the workflow if it does not
 * run.
 */
export async function signalNoticed(client: Client, space: SpaceConfig, node: string): Promise<void> {
  await client.workflow.signalWithStart('memorySpace', {
    ...spaceOptions(space),
    signal: MESSAGES.nodeNoticed,
    signalArgs: [node],
  });
}

/** Ends the workflow of a deleted space; does nothing if it has ended already. */
export async function closeMemorySpace(client: Client, cid: string): Promise<void> {
  await signalWorkflow(client, memorySpaceId(cid), MESSAGES.closeSpace);
}

/**
 * Returns the address of a workflow's history in the Temporal UI.
 * @param uiUrl the UI's base address, or null when unknown
 */
export function historyUrl(uiUrl: string | null, namespace: string, ref: WorkflowRef): string | null {
  if (uiUrl === null) return null;
  const id = encodeURIComponent(ref.workflowId);
  return `${uiUrl.replace(/\/$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows/${id}/${ref.runId}/history`;
}
