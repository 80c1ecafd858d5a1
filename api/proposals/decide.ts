import { randomBytes } from 'node:crypto';
import { MembridgeError } from '../../contract/errors.ts';
import { whyRefused } from '../../contract/projects/proposal-state.ts';
import type { Proposal } from '../../contract/projects/proposals.ts';
import { getProject } from '../../db/queries/list-projects.ts';
import { getProposal } from '../../db/queries/list-proposals.ts';
import { recordProposal } from '../../db/queries/record-proposal.ts';
import { approveProposal } from '../../engine/proposal-workflows.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { actorName } from '../auth/actor.ts';
import { notFoundError } from '../http/not-found.ts';
import type { Caller } from '../http/route.ts';

/**
 * Approves a proposal: its workflow then has a node commit it.
 * @param input.expectedVersion the commit that the branch must be at; undefined: the proposal's own
 * @param input.treeHash the tree that the person looked at: exactly this is committed, or nothing
 * @returns the proposal after the approval
 * @throws MembridgeError not_found; conflict naming its status when that forbids an approval, or the shown tree when
 * another one was named; engine_unavailable
 */
export async function approve(
  deps: Deps,
  input: {
    id: string;
    expectedVersion: string | null | undefined;
    treeHash: string | undefined;
    caller: Caller;
  },
): Promise<Proposal> {
  const { id, expectedVersion, treeHash, caller } = input;
  const proposal = await requireProposal(deps, id);
  const project = await getProject(deps.db, { id: proposal.project_id });
  const answer = await callEngine(deps.engine, (client) =>
    approveProposal(client, {
      proposalId: id,
      project: project?.name ?? proposal.project_id,
      title: proposal.title,
      approval: {
        requestId: `approve_${randomBytes(8).toString('hex')}`,
        by: actorName(caller),
        ...(expectedVersion === undefined ? {} : { expectedVersion }),
        ...(treeHash === undefined ? {} : { treeHash }),
      },
    }),
  );
  if (answer.outcome === 'missing') throw notFoundError('proposal', id);
  if (answer.outcome === 'refused') throw new MembridgeError('conflict', answer.detail);
  return await requireProposal(deps, id);
}

/**
 * Rejects a proposal for good.
 * @throws MembridgeError not_found; conflict naming its status when it is no longer pending
 */
export async function reject(
  deps: Deps,
  input: { id: string; reason: string; caller: Caller },
): Promise<Proposal> {
  const { id, reason, caller } = input;
  const by = actorName(caller);
  const recorded = await recordProposal(deps.db, {
    id,
    change: { step: 'reject', by, reason },
    key: randomBytes(8).toString('hex'),
    cause: `${by} rejected it`,
    now: deps.now(),
  });
  if (recorded.outcome === 'missing') throw notFoundError('proposal', id);
  if (recorded.outcome === 'refused') {
    throw new MembridgeError('conflict', whyRefused(recorded.proposal, 'rejected'));
  }
  return recorded.proposal;
}

async function requireProposal(deps: Deps, id: string): Promise<Proposal> {
  const found = await getProposal(deps.db, { id });
  if (found === null) throw notFoundError('proposal', id);
  return found.proposal;
}
