import type { Proposal, ProposalStatus } from './proposals.ts';

/** A step in the life of a proposal. */
export type ProposalStep = 'approve' | 'apply' | 'succeed' | 'fail' | 'reject' | 'expire';

interface Way {
  readonly from: readonly ProposalStatus[];
  readonly to: ProposalStatus;
}

/** The state machine of proposals as data. A failed proposal may be approved again: the cause may be gone. */
export const PROPOSAL_STEPS: Readonly<Record<ProposalStep, Way>> = {
  approve: { from: ['pending', 'failed'], to: 'approved' },
  apply: { from: ['approved'], to: 'applying' },
  succeed: { from: ['applying'], to: 'applied' },
  fail: { from: ['approved', 'applying'], to: 'failed' },
  reject: { from: ['pending'], to: 'rejected' },
  expire: { from: ['pending'], to: 'expired' },
};

/** Returns the status after a step; null when the step is not allowed, and then nothing may change. */
export function nextProposalStatus(status: ProposalStatus, step: ProposalStep): ProposalStatus | null {
  const { from, to } = PROPOSAL_STEPS[step];
  return from.includes(status) ? to : null;
}

/** Returns why a proposal cannot be approved or rejected now, naming its status, for people. */
export function whyRefused(proposal: Proposal, what: 'approved' | 'rejected'): string {
  const { id, status, detail, expires_at } = proposal;
  const cannot = `Proposal ${id} cannot be ${what}`;
  if (status === 'pending') {
    return `${cannot}: its status is expired, since nobody decided by ${new Date(expires_at).toISOString()}. Have the task run again.`;
  }
  return `${cannot}: its status is ${status} (${detail}).`;
}
