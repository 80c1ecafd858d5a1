import { WithStartWorkflowOperation, type Client, type Workflow } from '@temporalio/client';
import { CONTROL_QUEUE, MESSAGES, previewWorkflowId, proposalWorkflowId } from '../contract/names.ts';
import type { ApplyProposalInput, Approval, ApprovalAnswer } from '../contract/projects/proposals.ts';
import { searchAttributes } from './search-attributes.ts';

/**
 * Makes a proposal's workflow record an approval and apply the proposal. Two concurrent approvals reach one
 * workflow, which accepts one.
 * @returns whether it was recorded, or why not
 */
export async function approveProposal(
  client: Client,
  input: { proposalId: string; project: string; title: string; approval: Approval },
): Promise<ApprovalAnswer> {
  const { proposalId, project, title, approval } = input;
  const start: ApplyProposalInput = { proposalId };
  const startWorkflowOperation = new WithStartWorkflowOperation('applyProposal', {
    workflowId: proposalWorkflowId(proposalId),
    taskQueue: CONTROL_QUEUE,
    args: [start],
    staticSummary: `commit "${title.slice(0, 100)}" to ${project}`,
    typedSearchAttributes: searchAttributes({ project }),
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
  return await client.workflow.executeUpdateWithStart<Workflow, ApprovalAnswer, [Approval]>(
    MESSAGES.approveProposal,
    { startWorkflowOperation, args: [approval], updateId: approval.requestId },
  );
}

/** Requests a proposal's diff from a node; joins a running preview. */
export async function requestPreview(
  client: Client,
  input: { proposalId: string; project: string },
): Promise<void> {
  const { proposalId, project } = input;
  const start: ApplyProposalInput = { proposalId };
  await client.workflow.start('previewProposal', {
    workflowId: previewWorkflowId(proposalId),
    taskQueue: CONTROL_QUEUE,
    args: [start],
    staticSummary: `diff of ${proposalId} for ${project}`,
    typedSearchAttributes: searchAttributes({ project }),
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
}
