import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PROPOSAL_STEPS, nextProposalStatus, type ProposalStep } from './proposal-state.ts';
import { ProposalStatus } from './proposals.ts';

const step = fc.constantFrom(...(Object.keys(PROPOSAL_STEPS) as ProposalStep[]));
const FINAL = new Set<ProposalStatus>(['applied', 'rejected', 'expired']);

/** Returns every status that a proposal had, in order; steps that are not allowed change nothing. */
function walk(steps: readonly ProposalStep[]): { taken: ProposalStep[]; statuses: ProposalStatus[] } {
  const taken: ProposalStep[] = [];
  const statuses: ProposalStatus[] = ['pending'];
  for (const each of steps) {
    const next = nextProposalStatus(statuses.at(-1) ?? 'pending', each);
    if (next === null) continue;
    taken.push(each);
    statuses.push(next);
  }
  return { taken, statuses };
}

describe('the states of a proposal, for any steps in any order', () => {
  it('leaves a final status unchanged', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { statuses } = walk(steps);
        expect(statuses.findIndex((status) => FINAL.has(status))).toBeOneOf([-1, statuses.length - 1]);
      }),
    );
  });

  it('applies only what was approved just before', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { statuses } = walk(steps);
        for (const [index, status] of statuses.entries()) {
          if (status === 'applying') expect(statuses[index - 1]).toBe('approved');
          if (status === 'applied') expect(statuses[index - 1]).toBe('applying');
        }
      }),
    );
  });

  it('never rejects or expires what was approved', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { statuses } = walk(steps);
        if (!['rejected', 'expired'].includes(statuses.at(-1) ?? '')) return;
        expect(statuses).toHaveLength(2);
      }),
    );
  });

  it('refuses the second of two approvals in a row', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { taken } = walk(steps);
        for (const [index, each] of taken.entries()) {
          if (each === 'approve') expect(taken[index + 1]).not.toBe('approve');
        }
      }),
    );
  });

  it('reaches every status', () => {
    const reached = new Set<ProposalStatus>();
    fc.assert(
      fc.property(fc.array(step, { minLength: 8, maxLength: 40 }), (steps) => {
        for (const status of walk(steps).statuses) reached.add(status);
      }),
      { numRuns: 500, seed: 7 },
    );
    expect([...reached].toSorted()).toEqual([...ProposalStatus.options].toSorted());
  });
});
