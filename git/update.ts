/** Moving an existing clone forward, and leaving alone whatever is only in it. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { CloneResult, CloneSpec, NodeCredential } from '../contract/projects.ts';
import { MembridgeError } from '../contract/errors.ts';
import { codeOf, tellingLine } from './failures.ts';
import type { Git } from './git.ts';
import { askDefault, fits, originAddress } from './remote.ts';
import { distance, readState, remoteDefault, remoteRef, underWay, type CloneState } from './state.ts';

/** What became of a clone that was there. */
export type Moved = Pick<CloneResult, 'outcome' | 'detail'>;

/**
 * Brings the checked-out branch forward to the remote's, after a fetch: only when it is the wanted branch, nothing that git
 * follows has changed, and it is a true fast-forward.
 * @throws MembridgeError git_not_found when the project names a branch that the remote has not; disk_full
 */
export async function moveForward(
  git: Git,
  path: string,
  spec: CloneSpec,
  credential: NodeCredential['credential'],
): Promise<Moved> {
  const state = await readState(git);
  const busy = await underWay(git);
  if (busy !== null) return kept(busy);
  if (state.commit === null) return await fillEmpty(git, path, spec, state, credential);
  if (state.branch === null) return kept('no branch is checked out (detached HEAD)');
  const wanted = spec.options.branch ?? (await remoteDefault(git)) ?? state.branch;
  if (wanted !== state.branch) {
    return kept(`branch ${state.branch} is checked out, the project's is ${wanted}`);
  }
  const { behind, ahead } = await distance(git, state, wanted);
  if (behind === null || ahead === null) {
    if (spec.options.branch !== null) throw noBranch(wanted, spec);
    return kept(`the remote has no branch ${wanted}`);
  }
  if (behind === 0) return { outcome: 'unchanged', detail: standing(state, wanted, ahead) };
  if (ahead > 0)
    return kept(`${wanted} has ${count(ahead, 'commit')} of its own and lacks ${behind} of the remote's`);
  if (state.changed > 0) return kept(`${count(state.changed, 'file')} differ from the last commit`, behind);
  return await fastForward(git, wanted, behind);
}

async function fastForward(git: Git, branch: string, behind: number): Promise<Moved> {
  // By default git overwrites ignored files that come into its way, such as an .env.
  const merge = ['merge', '--ff-only', '--no-overwrite-ignore', '--no-stat', '--quiet', remoteRef(branch)];
  const answer = await git.unbroken(...merge);
  if (answer.code === 0)
    return { outcome: 'updated', detail: `${branch} moved forward by ${count(behind, 'commit')}` };
  if (codeOf(answer.stderr) === 'disk_full') throw git.failure(answer);
  return kept(whyNotMerged(answer.stderr), behind);
}

/** git names the files that are in its way on lines of their own, after a tab. */
function whyNotMerged(stderr: string): string {
  const files = [...stderr.matchAll(/^\t(.+)$/gm)].map(([, file = '']) => file);
  return files.length === 0 ? `git did not move it forward: ${tellingLine(stderr)}` : overwrites(files);
}

function overwrites(files: readonly string[]): string {
  const more = files.length > 3 ? ` and ${files.length - 3} more` : '';
  return `what is new would overwrite ${files.slice(0, 3).join(', ')}${more}`;
}

/** A clone of a repository that was empty: takes its first commits, on the branch that the remote has by now. */
async function fillEmpty(
  git: Git,
  path: string,
  spec: CloneSpec,
  state: CloneState,
  credential: NodeCredential['credential'],
): Promise<Moved> {
  const source = fits(credential, spec.repoUrl) ? spec.repoUrl : await originAddress(git);
  const wanted = spec.options.branch ?? (await askDefault(git, source, git.aside)) ?? state.branch;
  const { behind } = await distance(git, state, wanted);
  if (wanted === null || behind === null)
    return { outcome: 'unchanged', detail: 'the repository is still empty' };
  if (state.changed > 0) return kept(`${count(state.changed, 'file')} are staged for a first commit`, behind);
  // A first merge may write over ignored files; so nothing of what comes may be there at all.
  const names = (await git.ask('ls-tree', '--name-only', '-z', remoteRef(wanted))).split('\0');
  const present = names.filter(
    (name) => name !== '' && lstatSync(join(path, name), { throwIfNoEntry: false }),
  );
  if (present.length > 0) return kept(overwrites(present), behind);
  if (wanted !== state.branch) await git.ask('symbolic-ref', 'HEAD', `refs/heads/${wanted}`);
  const moved = await fastForward(git, wanted, behind);
  if (moved.outcome === 'updated') await git.look('branch', `--set-upstream-to=origin/${wanted}`);
  return moved;
}

function standing(state: CloneState, branch: string, ahead: number): string {
  const own = [
    ...(ahead > 0 ? [`${count(ahead, 'commit')} of its own`] : []),
    ...(state.changed > 0 ? [count(state.changed, 'changed file')] : []),
    ...(state.untracked > 0 ? [count(state.untracked, 'untracked file')] : []),
  ];
  return `${branch} has all that the remote has${own.length === 0 ? '' : `, and ${own.join(', ')}`}`;
}

function kept(why: string, behind?: number): Moved {
  const lacking = behind === undefined ? '' : `; it lacks ${count(behind, 'commit')} of the remote`;
  return { outcome: 'kept', detail: `left as it is: ${why}${lacking}` };
}

export const count = (number: number, thing: string): string =>
  `${number} ${thing}${number === 1 ? '' : 's'}`;

function noBranch(branch: string, spec: CloneSpec): MembridgeError {
  return new MembridgeError(
    'git_not_found',
    `There is no branch ${branch} in ${spec.repoUrl}. Correct the project's branch.`,
  );
}
