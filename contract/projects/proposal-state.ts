import type { Proposal, ProposalStatus } from './proposals.ts';

/** What happens to a proposal. */
export type ProposalStep = 'approve' | 'apply' | 'succeed' | 'fail' | 'reject' | 'expire';

interface Way {
  readonly from: readonly ProposalStatus[];
  readonly to: ProposalStatus;
}

/** The state machine of proposals as data. What failed may be approved again: its cause may be gone. */
export const PROPOSAL_STEPS: Readonly<Record<ProposalStep, Way>> = {
  approve: { from: ['pending', 'failed'], to: 'approved' },
  apply: { from: ['approved'], to: 'applying' },
  succeed: { from: ['applying'], to: 'applied' },
  fail: { from: ['approved', 'applying'], to: 'failed' },
  reject: { from: ['pending'], to: 'rejected' },
  expire: { from: ['pending'], to: 'expired' },
};

/** The status after a step; null where the step is not allowed, and then nothing may change. */
export function nextProposalStatus(status: ProposalStatus, step: ProposalStep): ProposalStatus | null {
  const { from, to } = PROPOSAL_STEPS[step];
  return from.includes(status) ? to : null;
}

/** Why a proposal is not approved or rejected as it stands, naming its status, for people. */
export function whyRefused(proposal: Proposal, what: 'approved' | 'rejected'): string {
  const { id, status, detail, expires_at } = proposal;
  const cannot = `Proposal ${id} cannot be ${what}`;
  if (status === 'pending') {
    return `${cannot}: its status is expired, since nobody decided by ${new Date(expires_at).toISOString()}. Have the task run again.`;
  }
  return `${cannot}: its status is ${status} (${detail}).`;
}
