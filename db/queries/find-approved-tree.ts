import { eq } from 'drizzle-orm';
import { isReadable } from '../../contract/projects/review-marks.ts';
import type { Executor } from '../connect.ts';
import type { ProposalRow } from '../proposal-rows.ts';
import { proposalPreviews } from '../schema.ts';

type Approved = Pick<ProposalRow, 'approved_tree' | 'approved_base'>;

/**
 * Compares the tree that an approval names with the tree that people are shown. Call it with the proposal's
 * row locked, so that a preview recorded at the same moment waits.
 * @returns what to store as approved; or, as a sentence, why the approval does not match
 */
export async function findApprovedTree(
  tx: Executor,
  proposal: ProposalRow,
  approval: { readonly treeHash?: string | undefined; readonly expectedVersion?: string | null | undefined },
): Promise<Approved | { why: string }> {
  const [shown] = await tx
    .select()
    .from(proposalPreviews)
    .where(eq(proposalPreviews.proposal_id, proposal.id));
  const { treeHash } = approval;
  if (treeHash === undefined) {
    const unseen = shown?.files.find((file) => !isReadable(file));
    if (unseen === undefined) return { approved_tree: null, approved_base: null };
    return {
      why: `Proposal ${proposal.id} changes ${JSON.stringify(unseen.path)} in a way that its own text may not show (${[unseen.status, ...unseen.marks].join(', ')}). Look at its diff, and approve it with tree_hash ${shown?.tree ?? ''}.`,
    };
  }
  if (shown?.tree == null || shown.base === null) {
    return {
      why: `No node has made the diff of proposal ${proposal.id} yet, so no tree can be approved. Get the proposal, and approve the tree that it shows.`,
    };
  }
  const { tree, base } = shown;
  if (tree !== treeHash) {
    return {
      why: `Tree ${treeHash} is not what proposal ${proposal.id} shows: its diff was made again, and has tree ${tree}. Look at it, and approve that.`,
    };
  }
  const expected =
    approval.expectedVersion === undefined ? proposal.expected_version : approval.expectedVersion;
  if (expected !== null && !base.startsWith(expected)) {
    return {
      why: `The diff of proposal ${proposal.id} was made over ${base}, and it expects ${expected}. To approve what is shown, send expected_version ${base.slice(0, 12)}.`,
    };
  }
  return { approved_tree: tree, approved_base: base };
}
