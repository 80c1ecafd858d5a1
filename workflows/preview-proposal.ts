import { proxyActivities, setCurrentDetails } from '@temporalio/workflow';
import type { ProposalActivities } from '../activities/node/proposals.ts';
import { nodeQueue } from '../contract/names.ts';
import type { ApplyProposalInput } from '../contract/projects/proposals.ts';
import { failureOf, isNotTaken } from './activity-failure.ts';
import { GIT_ACTIVITY } from './git-activity.ts';
import { control } from './control.ts';

/** Time limit for all tries together: a person waits for the page. */
const OVERALL_TIMEOUT = '5 minutes';

/**
 * Time limit for git per try, in milliseconds; shorter than the activity's, so that git's own error is
 * reported.
 */
const GIT_MS = 4 * 60_000;

/**
 * Makes one node compute the tree of a proposal and git's own diff of it. Stores both for people to read, or
 * the reason why there are none.
 */
export async function previewProposal({ proposalId }: ApplyProposalInput): Promise<void> {
  const plan = await control.planPreview({ proposalId });
  if ('code' in plan) {
    return await control.recordPreview({ proposalId, outcome: { node: null, ...plan } });
  }
  const { node, spec, proposal, output } = plan;
  setCurrentDetails(`${node} makes its diff`);
  const activities = proxyActivities<ProposalActivities>({
    taskQueue: nodeQueue(node),
    scheduleToStartTimeout: '15 seconds',
    scheduleToCloseTimeout: OVERALL_TIMEOUT,
    ...GIT_ACTIVITY,
    summary: `diff of ${proposalId} for ${spec.name} on ${node}`,
  });
  try {
    const result = await activities.previewProposal({ spec, proposal, output, timeoutMs: GIT_MS });
    await control.recordPreview({ proposalId, outcome: { node, result } });
  } catch (error) {
    const failure = isNotTaken(error)
      ? { code: 'node_offline', message: `Node ${node} is offline: it did not begin within 15 s.` }
      : failureOf(error, { code: 'node_offline', message: `Node ${node} did not finish in time` });
    await control.recordPreview({ proposalId, outcome: { node, ...failure } });
  }
}
