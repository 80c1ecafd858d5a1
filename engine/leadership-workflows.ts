import { WithStartWorkflowOperation, type Client, type Workflow } from '@temporalio/client';
import type { Leadership } from '../contract/memory/leadership.ts';
import type { MirrorRequest } from '../contract/memory/mirror.ts';
import {
  CONTROL_QUEUE,
  MESSAGES,
  leadershipId,
  type LeadershipInput,
  type LeadershipState,
  type SelectRequest,
} from '../contract/workflows.ts';
import { searchAttributes } from './search-attributes.ts';
import type { WorkflowRef } from './memory-workflows.ts';
import { signalWorkflow } from './signal-workflow.ts';

function optionsOf(cid: string, known: Leadership | null) {
  const input: LeadershipInput = {
    cid,
    state: known === null ? null : toLeadershipState(known),
    // The lease object may not have been written before the previous run ended.
    leaseOpen: known !== null,
    lastSnapshotAt: known?.last_snapshot_at ?? 0,
    lastMirrorAt: known?.last_mirror_at ?? 0,
  };
  return {
    workflowId: leadershipId(cid),
    taskQueue: CONTROL_QUEUE,
    args: [input] as [LeadershipInput],
    staticSummary: `primary of ${cid}`,
    typedSearchAttributes: searchAttributes({ space: cid }),
  };
}

/** Converts a leadership to its workflow's state. */
export function toLeadershipState(known: Leadership): LeadershipState {
  return {
    cid: known.canonical_id,
    primary: known.primary_node_id,
    epoch: known.epoch,
    leaseSeconds: known.lease_seconds,
    issuedAt: known.issued_at ?? 0,
    expiresAt: known.expires_at ?? 0,
    issuedBy: known.issued_by ?? 'engine',
  };
}

/**
 * Selects the primary of a space or project.
 * @param known the leadership in PostgreSQL, from which the workflow starts if it does not run
 * @param updateId identifies this request, so that a repeated one is done once
 */
export async function selectPrimary(
  client: Client,
  input: { cid: string; known: Leadership | null; request: SelectRequest; updateId: string },
): Promise<LeadershipState> {
  const startWorkflowOperation = new WithStartWorkflowOperation('leadership', {
    ...optionsOf(input.cid, input.known),
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
  return await client.workflow.executeUpdateWithStart<Workflow, LeadershipState, [SelectRequest]>(
    MESSAGES.selectPrimary,
    { startWorkflowOperation, args: [input.request], updateId: input.updateId },
  );
}

/**
 * Asks the primary of a space to publish its mirror now.
 * @returns the run that received the request
 */
export async function requestMirror(
  client: Client,
  known: Leadership,
  request: MirrorRequest,
): Promise<WorkflowRef> {
  const handle = await client.workflow.signalWithStart('leadership', {
    ...optionsOf(known.canonical_id, known),
    workflowIdConflictPolicy: 'USE_EXISTING',
    signal: MESSAGES.publishMirror,
    signalArgs: [request],
  });
  return { workflowId: handle.workflowId, runId: handle.signaledRunId };
}

/** Ensures that the workflow of a leadership runs. */
export async function ensureLeadership(client: Client, known: Leadership): Promise<void> {
  await client.workflow.start('leadership', {
    ...optionsOf(known.canonical_id, known),
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
}

/** Ends the workflow of a leadership; does nothing if it has ended already. */
export async function closeLeadership(client: Client, cid: string): Promise<void> {
  await signalWorkflow(client, leadershipId(cid), MESSAGES.closeLeadership);
}
