import { z } from 'zod';
import {
  ApproveProposal,
  ListProposals,
  Proposal,
  ProposalPreview,
  RejectProposal,
  RequestPreview,
  ShownProposal,
} from '../../contract/projects/proposals.ts';
import { listProposals } from '../../db/queries/list-proposals.ts';
import { approve, reject } from '../proposals/decide.ts';
import { remakePreview } from '../proposals/preview.ts';
import { showProposal, showProposalWhole } from '../proposals/show.ts';
import { defineRoute } from '../http/route.ts';

const tag = 'Proposals';
const ProposalId = z.strictObject({ id: z.string() });
const missing = { 404: 'There is no such proposal' } as const;

export const proposalRoutes = [
  defineRoute({
    method: 'get',
    path: '/api/runtime/proposals',
    auth: 'people',
    tag,
    summary: 'List the changes that tasks propose in projects, newest first',
    description: 'When there are more, the header X-Next-Cursor has the cursor of the next page.',
    query: ListProposals,
    status: 200,
    response: z.array(Proposal),
    handle: async ({ query, res }, deps) => {
      const { page, next } = await listProposals(deps.db, query);
      if (next !== null) res.set('X-Next-Cursor', next);
      return page.map((proposal) => showProposal(deps, proposal));
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/proposals/:id',
    auth: 'people',
    tag,
    summary: 'Get one proposal with the worker’s text, and git’s own diff of it',
    params: ProposalId,
    status: 200,
    response: ShownProposal,
    errors: missing,
    handle: async ({ params }, deps) => await showProposalWhole(deps, params.id),
  }),
  defineRoute({
    method: 'post',
    path: '/api/runtime/proposals/:id/preview',
    auth: 'people',
    tag,
    summary: 'Make the diff of a proposal again, over the present branch',
    description:
      'The first request for a proposal also starts this. Get the proposal until its preview is ready.',
    params: ProposalId,
    body: RequestPreview,
    status: 202,
    response: ProposalPreview,
    errors: missing,
    handle: async ({ params }, deps) => await remakePreview(deps, params.id),
  }),
  defineRoute({
    method: 'post',
    path: '/api/runtime/proposals/:id/approve',
    auth: 'people',
    tag,
    summary: 'Commit a proposal to the branch of its project',
    description:
      'Send the tree that you looked at (preview.tree) as tree_hash: exactly this is committed over the commit that it was built on, or nothing. An approval without it commits only what the worker’s own text shows in full: no deletion, rename or new mode, no hidden character, and no file that some program runs. A failed proposal may be approved again. expected_version is the commit that the branch must be at, instead of the proposal’s own; null accepts any.',
    params: ProposalId,
    body: ApproveProposal,
    status: 202,
    response: Proposal,
    errors: {
      ...missing,
      409: 'Its status is neither pending nor failed, or tree_hash is not the shown tree; the message says which',
    },
    handle: async ({ params, body, caller }, deps) =>
      showProposal(
        deps,
        await approve(deps, {
          id: params.id,
          expectedVersion: body.expected_version,
          treeHash: body.tree_hash,
          caller,
        }),
      ),
  }),
  defineRoute({
    method: 'post',
    path: '/api/runtime/proposals/:id/reject',
    auth: 'people',
    tag,
    summary: 'Reject a proposal for good',
    params: ProposalId,
    body: RejectProposal,
    status: 200,
    response: Proposal,
    errors: { ...missing, 409: 'It is no longer pending; the message names its status' },
    handle: async ({ params, body, caller }, deps) =>
      showProposal(deps, await reject(deps, { id: params.id, reason: body.reason?.trim() ?? '', caller })),
  }),
];
