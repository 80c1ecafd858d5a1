/** Computes a proposal's tree on top of a commit, shows it, and finds the commit that already has it. */
import { gzipSync } from 'node:zlib';
import { MembridgeError } from '../contract/errors.ts';
import type { PreviewResult } from '../contract/projects/proposals.ts';
import type { GitContext } from './context.ts';
import type { Git } from './git.ts';
import { BASE_REF, MAX_COMMITS, withProposalClone, type ProposalWork } from './proposal-clone.ts';
import { stageFile, stagePatch } from './stage-proposal.ts';
import { describeTree } from './tree-diff.ts';

/** The trailer that names the proposal in its commit. It is information for people and proves nothing. */
export const TRAILER = 'Membridge-Proposal';

/** How many commits with a matching trailer are recomputed for comparison; each takes some milliseconds. */
const MAX_CLAIMS = 5;

/** Maximum size of an activity result that Temporal accepts, minus room for the list of files. */
const MAX_PACKED_BYTES = 1_400_000;

interface EarlierCommit {
  readonly commit: string;
  readonly tree: string;
  readonly base: string;
}

/**
 * Computes the tree of a proposal over the branch's newest commit, and git's own diff of it. Commits nothing.
 * @throws MembridgeError as applyProposal
 */
export async function previewProposal(work: ProposalWork, context: GitContext): Promise<PreviewResult> {
  return await withProposalClone(work, context, async ({ local, branch }) => {
    const earlier = await findEarlier(local, work, branch);
    const base = earlier?.base ?? (await local.ask('rev-parse', '--verify', `${BASE_REF}^{commit}`));
    const tree = earlier?.tree ?? (await makeTree(local, work, { branch, head: base }));
    const { files, diff } = await describeTree(local, base, tree);
    const packedDiff = gzipSync(diff).toString('base64');
    if (packedDiff.length + JSON.stringify(files).length > MAX_PACKED_BYTES) {
      throw new MembridgeError(
        'patch_rejected',
        'The change is too large to be kept for people to read before approving. Split it, or commit it without a proposal.',
      );
    }
    return { branch, base, tree, files, packedDiff };
  });
}

/**
 * Computes the tree of a proposal on top of a commit.
 * @throws MembridgeError patch_rejected for a change that does not apply, changes nothing, or touches what it
 * must not
 */
export async function makeTree(
  git: Git,
  { proposal, content }: ProposalWork,
  { branch, head }: { branch: string; head: string },
): Promise<string> {
  await git.ask('read-tree', '--reset', head);
  if (proposal.kind === 'file') await stageFile(git, { branch, head, path: proposal.path, content });
  else await stagePatch(git, { branch, head, content });
  const tree = await git.ask('write-tree');
  if (tree === (await git.ask('rev-parse', `${head}^{tree}`))) {
    throw new MembridgeError(
      'patch_rejected',
      `The proposal changes nothing: ${branch} at ${head.slice(0, 8)} has all of it already.`,
    );
  }
  return tree;
}

/**
 * Finds the commit that an earlier try has pushed: an attempt may end between its push and its report. The
 * commit is recognized by its content: the approved tree on top of the approved commit. Without an approved
 * tree, the commit must have the proposal's trailer. Because anyone can write a trailer, the proposal applied
 * to that commit's parent must also give exactly the same tree.
 */
export async function findEarlier(
  git: Git,
  work: ProposalWork,
  branch: string,
): Promise<EarlierCommit | null> {
  const { approved, proposalId } = work.proposal;
  const format = `--format=%H %T %P%x00%(trailers:key=${TRAILER},valueonly,separator=%x20)`;
  const text = await git.ask('log', '--no-show-signature', `--max-count=${MAX_COMMITS}`, format, BASE_REF);
  const commits = text.split('\n').flatMap((line) => {
    const [names = '', claims = ''] = line.split('\0');
    const [commit = '', tree = '', base = '', ...others] = names.split(' ');
    return base === '' || others.length > 0 ? [] : [{ commit, tree, base, claims: claims.split(' ') }];
  });
  if (approved != null) {
    const exact = commits.find(({ tree, base }) => tree === approved.tree && base === approved.base);
    if (exact !== undefined) return exact;
  }
  const claiming = commits.filter(({ claims }) => claims.includes(proposalId));
  for (const each of claiming.slice(0, MAX_CLAIMS)) {
    if ((await remake(git, work, { branch, head: each.base })) === each.tree) return each;
  }
  return null;
}

/** Returns the proposal's tree on top of a commit; null when it does not apply there. */
async function remake(
  git: Git,
  work: ProposalWork,
  where: { branch: string; head: string },
): Promise<string | null> {
  try {
    return await makeTree(git, work, where);
  } catch (error) {
    if (error instanceof MembridgeError && error.code === 'patch_rejected') return null;
    throw error;
  }
}
