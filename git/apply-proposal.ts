/**
 * Makes one commit of an approved proposal on the project's branch, with exactly the content that a person
 * approved.
 */
import { MembridgeError } from '../contract/errors.ts';
import type { ApplyResult, ApplySpec } from '../contract/projects/proposals.ts';
import { isReadable } from '../contract/projects/review-marks.ts';
import type { GitContext } from './context.ts';
import { findTellingLine } from './failures.ts';
import type { Git } from './git.ts';
import { readPatchNames } from './patch-names.ts';
import {
  BASE_REF,
  fetchBranch,
  withProposalClone,
  type ProposalClone,
  type ProposalWork,
} from './proposal-clone.ts';
import { TRAILER, findEarlier, makeTree } from './proposal-tree.ts';
import { describeTree } from './tree-diff.ts';

/** How often the branch may move while a proposal is pushed. */
const MAX_TRIES = 3;

/**
 * Commits a proposal on the project's branch and pushes it. A repeated call finds the existing commit.
 * @throws MembridgeError version_conflict naming both commits, patch_rejected, push_refused, the git_… codes,
 * clone_stalled, clone_timeout, disk_full; the signal's reason. Leaves nothing behind on the node in any case
 */
export async function applyProposal(work: ProposalWork, context: GitContext): Promise<ApplyResult> {
  return await withProposalClone(work, context, async (clone) => await commitAndPush(work, clone));
}

async function commitAndPush(work: ProposalWork, clone: ProposalClone): Promise<ApplyResult> {
  const { proposal } = work;
  const { local, branch } = clone;
  const { expectedVersion, approved } = proposal;
  for (let tried = 1; ; tried += 1) {
    const head = await local.ask('rev-parse', '--verify', `${BASE_REF}^{commit}`);
    const earlier = await findEarlier(local, work, branch);
    if (earlier !== null) return { commit: earlier.commit, branch, wasThere: true };
    if (expectedVersion !== null && !head.startsWith(expectedVersion)) {
      throw conflictError(branch, expectedVersion, head);
    }
    if (approved != null && head !== approved.base) throw outdatedError(branch, approved.base, head);
    const tree = await makeTree(local, work, { branch, head });
    if (approved == null) await refuseUnseen(local, work, { branch, head, tree });
    else if (tree !== approved.tree) throw otherTreeError(branch, approved.tree, tree);
    const commit = await makeCommit(proposal, local, { head, tree });
    const pushed = await push(clone, { head, commit });
    if (pushed === 'done') return { commit, branch, wasThere: false };
    await fetchBranch(clone);
    // With an expected version, the next try notices that the branch has left it, unless the server holds a
    // stale lock.
    if (tried === MAX_TRIES) {
      throw new MembridgeError(
        'version_conflict',
        `${branch} moved before each of ${MAX_TRIES} tries to push the proposal. Approve it again.`,
      );
    }
  }
}

/**
 * Checks an approval that names no tree, from a script that read the worker's text. Then only what that text
 * shows in full may be committed.
 * @throws MembridgeError patch_rejected naming the file and the reason
 */
async function refuseUnseen(
  git: Git,
  { proposal, content }: ProposalWork,
  { branch, head, tree }: { branch: string; head: string; tree: string },
): Promise<void> {
  const { files } = await describeTree(git, head, tree);
  const named = proposal.kind === 'patch' ? readPatchNames(content.toString('utf8')) : null;
  const isMove = named !== null && (!('hasMoves' in named) || named.hasMoves);
  const unseen = files.find((file) => !isReadable(file));
  if (unseen === undefined && !isMove) return;
  const what =
    unseen === undefined
      ? 'it renames or copies a file'
      : `${JSON.stringify(unseen.path)} is ${unseen.status === 'deleted' ? 'deleted' : `changed (${unseen.marks.join(', ') || unseen.status})`}`;
  throw new MembridgeError(
    'patch_rejected',
    `The approval names no tree, and the worker's text alone does not show all that would happen on ${branch}: ${what}. Look at the proposal's diff, and approve it with its tree as tree_hash.`,
  );
}

async function makeCommit(
  proposal: ApplySpec,
  git: Git,
  { head, tree }: { head: string; tree: string },
): Promise<string> {
  const title = proposal.title.replaceAll(/[\p{Cc}\s]+/gu, ' ').trim();
  const message = [
    title === '' ? `Proposal ${proposal.proposalId}` : title,
    '',
    `${TRAILER}: ${proposal.proposalId}`,
    `Membridge-Task: ${proposal.taskId}`,
  ].join('\n');
  const commit = await git.ask('commit-tree', '--no-gpg-sign', tree, '-p', head, '-m', message);
  // Read back what would be pushed, so that nothing else reaches the branch.
  const made = await git.ask('log', '-1', '--no-show-signature', '--format=%T %P', commit);
  if (made !== `${tree} ${head}`) {
    throw new MembridgeError(
      'patch_rejected',
      `git made a commit of tree and parent ${made}, and not of ${tree} ${head}. Nothing was pushed.`,
    );
  }
  return commit;
}

/**
 * Pushes the commit.
 * @returns `moved` when the branch is no longer at the commit's parent
 */
async function push(
  { git, partial, branch, spec }: ProposalClone,
  { head, commit }: { head: string; commit: string },
): Promise<'done' | 'moved'> {
  const ref = `refs/heads/${branch}`;
  // The commit's parent is the head, so this forces nothing. It is stricter than a plain push, which would
  // also accept a branch that was set back in between, and would restore what was removed.
  const lease = `--force-with-lease=${ref}:${head}`;
  const args = [
    'push',
    '--porcelain',
    '--progress',
    '--no-verify',
    lease,
    '--',
    spec.repoUrl,
    `${commit}:${ref}`,
  ];
  const answer = await git.tryNetwork(args, {
    grows: partial.repository,
    started: (group) => partial.started(group),
  });
  if (answer.code === 0) return 'done';
  const line = answer.stdout.split('\n').find((each) => each.startsWith('!'));
  // Without a line for the branch, the push did not get that far: no access or no connection.
  if (line === undefined) throw git.failure(answer);
  const why = line.split('\t').at(-1) ?? '';
  if (why.startsWith('[rejected]')) return 'moved';
  if (/cannot lock ref|failed to (?:update ref|lock)|incorrect old value|already exists/i.test(why))
    return 'moved';
  const told = [...answer.stderr.matchAll(/^remote: (.+)$/gm)].map(([, text = '']) => text.trim());
  const said = told.length > 0 ? told.slice(0, 5).join(' ') : findTellingLine(answer.stderr);
  const reason = why.replace(/^\[remote (?:rejected|failure)\] /, '');
  throw new MembridgeError(
    'push_refused',
    `The server did not take the commit on ${branch}: ${reason} ${said.slice(0, 500)}`,
  );
}

function conflictError(branch: string, expected: string, head: string): MembridgeError {
  return new MembridgeError(
    'version_conflict',
    `${branch} is at ${head}, and the proposal is for ${expected}. Look whether it still fits, and approve it for ${head.slice(0, 12)}.`,
  );
}

function outdatedError(branch: string, base: string, head: string): MembridgeError {
  return new MembridgeError(
    'version_conflict',
    `${branch} is at ${head}, but the approved diff was made over ${base}. Review the new diff, and approve that.`,
  );
}

function otherTreeError(branch: string, approved: string, made: string): MembridgeError {
  return new MembridgeError(
    'version_conflict',
    `git makes tree ${made} of it on ${branch}, and tree ${approved} was approved. Nothing was pushed. Review the new diff, and approve that.`,
  );
}
