import {
  CancellationScope,
  allHandlersFinished,
  condition,
  defineUpdate,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ApplyPlan } from '../activities/control/proposals.ts';
import type { ProposalActivities } from '../activities/node/proposals.ts';
import type {
  ApplyProposalInput,
  ApplyResult,
  Approval,
  ApprovalAnswer,
} from '../contract/projects/proposals.ts';
import { MESSAGES, nodeQueue } from '../contract/names.ts';
import { GIT_ACTIVITY } from './git-activity.ts';
import { failureOf, isNotTaken } from './activity-failure.ts';
import { control } from './control.ts';

/**
 * A person approves the proposal. Answers once the approval is recorded, or refuses when the proposal's
 * status does not allow it.
 */
export const approveProposal = defineUpdate<ApprovalAnswer, [Approval]>(MESSAGES.approveProposal);

/** Time limit for all tries together. */
const OVERALL_TIMEOUT = '10 minutes';

/**
 * Time limit for git per try, in milliseconds; shorter than the activity's, so that git's own error is
 * reported.
 */
const GIT_MS = 9 * 60_000;

/** A node that has not taken the activity by then counts as away. */
const TAKEN_WITHIN = '15 seconds';

/** How long a run that was started without an approval waits for one. */
const NO_REQUEST_WAIT = '5 seconds';

/**
 * Applies a proposal once a person approved it: a node makes one commit of it on the project's branch.
 * Approval, beginning and end are each recorded first, and the proposal's status may refuse any of them. A
 * failed proposal may be approved again, in this run or the next.
 */
export async function applyProposal({ proposalId }: ApplyProposalInput): Promise<void> {
  const { runId } = workflowInfo();
  let asked = 0;
  let approved = 0;
  let served = 0;
  setHandler(approveProposal, async (approval) => {
    asked += 1;
    const answer = await control.recordProposalApproved({ proposalId, approval, runId });
    if (answer.outcome === 'approved') approved += 1;
    return answer;
  });

  await condition(() => asked > 0, NO_REQUEST_WAIT);
  for (;;) {
    // An approval is recorded before its handler ends.
    await condition(() => approved > served || allHandlersFinished());
    if (approved === served) return;
    served = approved;
    await apply(proposalId, `${runId}:${served}`);
  }
}

async function apply(proposalId: string, key: string): Promise<void> {
  const fail = async (code: string, message: string, cause: string): Promise<void> => {
    setCurrentDetails(`failed: ${message}`);
    await control.recordProposalEnded({ proposalId, change: { step: 'fail', code, message }, key, cause });
  };
  try {
    const plan = await control.beginProposal({ proposalId, key });
    if ('code' in plan) return await fail(plan.code, plan.message, 'it cannot be committed');
    const { node } = plan;
    setCurrentDetails(`${node} commits it`);
    let result: ApplyResult;
    try {
      result = await onNode(plan);
    } catch (error) {
      if (isCancellation(error)) throw error;
      const failure = isNotTaken(error)
        ? {
            code: 'node_offline',
            message: `Node ${node} is offline: it did not take the proposal within 15 s.`,
          }
        : failureOf(error, {
            code: 'node_offline',
            message: `Node ${node} did not finish in time. If it had pushed the commit, approving again finds it`,
          });
      return await fail(failure.code, failure.message, `node ${node}`);
    }
    // A pushed commit must be recorded, even if the workflow is canceled during it.
    await CancellationScope.nonCancellable(async () => {
      const { commit, branch } = result;
      setCurrentDetails(`applied as ${commit} on ${branch}`);
      const cause = result.wasThere
        ? `node ${node} found the commit of an earlier try`
        : `node ${node} pushed it`;
      await control.recordProposalEnded({
        proposalId,
        change: { step: 'succeed', commit, branch },
        key,
        cause,
      });
    });
  } catch (error) {
    if (isCancellation(error)) {
      const message = 'Its workflow was cancelled. If the commit had been pushed, approving again finds it.';
      await CancellationScope.nonCancellable(() => fail('cancelled', message, 'the workflow was cancelled'));
    }
    throw error;
  }
}

async function onNode({ node, spec, proposal, output }: ApplyPlan): Promise<ApplyResult> {
  const activities = proxyActivities<ProposalActivities>({
    taskQueue: nodeQueue(node),
    scheduleToStartTimeout: TAKEN_WITHIN,
    scheduleToCloseTimeout: OVERALL_TIMEOUT,
    ...GIT_ACTIVITY,
    summary: `commit ${proposal.proposalId} to ${spec.name} on ${node}`,
  });
  return await activities.applyProposal({ spec, proposal, output, timeoutMs: GIT_MS });
}
