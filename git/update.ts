/** Moves an existing clone forward, and leaves everything alone that exists only in it. */
import { lstatSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CloneResult, CloneSpec } from '../contract/projects/projects.ts';
import { MembridgeError } from '../contract/errors.ts';
import { count, decideMove, behindClause, type CloneFacts } from './decide-move.ts';
import { codeOf, findTellingLine } from './failures.ts';
import type { Git } from './git.ts';
import type { GitAnswer } from './run.ts';
import { noteDefault, type RemoteNews } from './remote.ts';
import {
  countOwn,
  countDistance,
  readState,
  remoteDefault,
  remoteRef,
  findOperation,
  type CloneState,
} from './state.ts';

/** The outcome for an existing clone. */
export type Moved = Pick<CloneResult, 'outcome' | 'detail'>;

/**
 * Moves a clone to the state of its remote, after a fetch, as decideMove decides.
 * @throws MembridgeError git_not_found when the wanted branch does not exist; git_busy when another git holds
 * a lock; disk_full
 */
export async function moveForward(git: Git, path: string, spec: CloneSpec, news: RemoteNews): Promise<Moved> {
  const state = await readState(git);
  if (state.commit === null) return await fillEmpty(git, path, spec, { state, news });
  const facts = await readFacts(git, spec, { state, news });
  const move = decideMove(facts);
  const { wanted, branch, behind, ahead } = facts;
  if (move.act === 'missing' || wanted === null || branch === null) {
    if (move.act === 'keep') return keptMove(move.why);
    throw missingBranchError(wanted, spec);
  }
  switch (move.act) {
    case 'keep':
      await noteDefault(git, news, branch);
      return keptMove(move.why);
    case 'unchanged':
      await noteDefault(git, news, null);
      return { outcome: 'unchanged', detail: describeStanding(state, wanted, ahead) };
    case 'forward': {
      const moved = await fastForward(git, wanted, { behind, noise: state.noise });
      await noteDefault(git, news, moved.outcome === 'updated' ? null : branch);
      return moved;
    }
    case 'follow': {
      const moved = await followDefault(git, { from: branch, to: wanted, behind, noise: state.noise });
      await noteDefault(git, news, moved.outcome === 'updated' ? null : branch);
      return moved;
    }
  }
}

/** Collects the facts for decideMove. */
export async function readFacts(
  git: Git,
  spec: Pick<CloneSpec, 'options'>,
  of: { state: CloneState; news: RemoteNews },
): Promise<CloneFacts> {
  const { state, news } = of;
  const { branch } = state;
  const isThere = (name: string | null): boolean => name !== null && news.branches.has(name);
  const noted = await remoteDefault(git);
  // If the remote has no default, the clone stays on its branch as long as that exists.
  const usual = [noted, branch].find(isThere) ?? noted ?? branch;
  const wanted = spec.options.branch ?? news.defaultBranch ?? usual;
  const { behind, ahead } = await countDistance(git, state, wanted);
  const known = [...new Set([wanted, branch, noted])].filter((each) => each !== null);
  const isShallow = (await git.ask('rev-parse', '--is-shallow-repository')) === 'true';
  const isRelated =
    behind === null ||
    // In a shallow history, common commits may be cut off.
    isShallow ||
    (await git.look('merge-base', 'HEAD', remoteRef(wanted ?? ''))).code === 0;
  return {
    busy: await findOperation(git),
    branch,
    wanted,
    isNamed: spec.options.branch !== null,
    exists: isThere(wanted),
    isFormerDefault: noted !== null && noted === branch,
    isRelated,
    ahead: ahead ?? 0,
    own: (ahead ?? 0) === 0 ? 0 : await countOwn(git, known),
    behind: behind ?? 0,
    changed: state.changed,
  };
}

/** Checks out the remote's new default branch. The former branch stays as it is. */
async function followDefault(
  git: Git,
  of: { from: string; to: string; behind: number; noise: readonly string[] },
): Promise<Moved> {
  const { from, to } = of;
  const local = `refs/heads/${to}`;
  const isThere = (await git.look('show-ref', '--verify', '--quiet', local)).code === 0;
  const isOld = isThere && (await git.look('merge-base', '--is-ancestor', local, remoteRef(to))).code === 0;
  if (isThere && !isOld)
    return keptMove(
      `the remote's default branch is ${to} now, no longer ${from}, and the clone's own ${to} has commits that the remote lacks`,
    );
  const answer = await withoutNoise(git, { to: remoteRef(to), noise: of.noise }, async () => {
    // By default git overwrites ignored files that are in its way, such as an .env.
    const options = ['--quiet', '--no-overwrite-ignore', '--no-recurse-submodules'];
    return await git.runUninterrupted('checkout', ...options, '--no-track', '-B', to, remoteRef(to));
  });
  if (answer.code !== 0) return explainNotMoved(git, answer, of.behind);
  // A clone of one branch must ask for the new one from now on; a clone of all branches needs no change.
  const key = 'remote.origin.fetch';
  const old = `^\\+?refs/heads/${from.replaceAll(/[.+]/g, '\\$&')}:`;
  if ((await git.look('config', '--local', '--get-all', key, old)).code === 0)
    await git.look('config', '--replace-all', key, `+refs/heads/${to}:${remoteRef(to)}`, old);
  await git.look('branch', `--set-upstream-to=origin/${to}`, to);
  return {
    outcome: 'updated',
    detail: `the remote's default branch is ${to} now, no longer ${from}: ${to} was checked out, ${from} stays as it was`,
  };
}

/**
 * Lets git move although files differ that no person changed: first removes those that it will write, then
 * writes again what is missing. A checkout produces them all.
 */
async function withoutNoise<T>(
  git: Git,
  of: { to: string; noise: readonly string[] },
  move: () => Promise<T>,
): Promise<T> {
  if (of.noise.length === 0) return await move();
  const coming = new Set(
    (await git.ask('diff', '--name-only', '--no-renames', '-z', 'HEAD', of.to)).split('\0'),
  );
  const inTheWay = of.noise.filter((path) => coming.has(path));
  try {
    for (const path of inTheWay) await rm(join(git.path, path), { force: true });
    return await move();
  } finally {
    const listed = new Set((await git.ask('ls-files', '-z')).split('\0'));
    const missing = of.noise.filter(
      (path) => listed.has(path) && !lstatSync(join(git.path, path), { throwIfNoEntry: false }),
    );
    if (missing.length > 0)
      await git.feed(missing.map((path) => `${path}\0`).join(''), 'checkout-index', '-u', '-z', '--stdin');
  }
}

async function fastForward(
  git: Git,
  branch: string,
  { behind, noise }: { behind: number; noise: readonly string[] },
): Promise<Moved> {
  const answer = await withoutNoise(git, { to: remoteRef(branch), noise }, async () => {
    // By default git overwrites ignored files that are in its way, such as an .env.
    const merge = ['merge', '--ff-only', '--no-overwrite-ignore', '--no-stat', '--quiet', remoteRef(branch)];
    return await git.runUninterrupted(...merge);
  });
  if (answer.code !== 0) return explainNotMoved(git, answer, behind);
  return { outcome: 'updated', detail: `${branch} moved forward by ${count(behind, 'commit')}` };
}

function explainNotMoved(git: Git, answer: GitAnswer, behind: number): Moved {
  if (['disk_full', 'git_busy', 'git_missing'].includes(codeOf(answer.stderr))) throw git.failure(answer);
  return keptMove(readMergeConflicts(answer.stderr) + behindClause(behind));
}

/** Extracts the conflicting files from git's message, which lists each on its own line after a tab. */
function readMergeConflicts(stderr: string): string {
  const files = [...stderr.matchAll(/^\t(.+)$/gm)].map(([, file = '']) => file);
  return files.length === 0
    ? `git did not move it forward: ${findTellingLine(stderr)}`
    : overwriteSentence(files);
}

function overwriteSentence(files: readonly string[]): string {
  const more = files.length > 3 ? ` and ${files.length - 3} more` : '';
  return `the update would overwrite ${files.slice(0, 3).join(', ')}${more}`;
}

/** Gives a clone of a formerly empty repository its first commits, on the branch that the remote now has. */
async function fillEmpty(
  git: Git,
  path: string,
  spec: CloneSpec,
  { state, news }: { state: CloneState; news: RemoteNews },
): Promise<Moved> {
  const busy = await findOperation(git);
  if (busy !== null) return keptMove(busy);
  const wanted = spec.options.branch ?? news.defaultBranch ?? state.branch;
  const { behind } = await countDistance(git, state, wanted);
  if (wanted === null || behind === null)
    return { outcome: 'unchanged', detail: 'the repository is still empty' };
  if (state.changed > 0)
    return keptMove(`${count(state.changed, 'file')} are staged for a first commit${behindClause(behind)}`);
  // A first merge may overwrite ignored files, so none of the incoming names may exist.
  const names = (await git.ask('ls-tree', '--name-only', '-z', remoteRef(wanted))).split('\0');
  const present = names.filter(
    (name) => name !== '' && lstatSync(join(path, name), { throwIfNoEntry: false }),
  );
  if (present.length > 0) return keptMove(overwriteSentence(present) + behindClause(behind));
  if (wanted !== state.branch) await git.ask('symbolic-ref', 'HEAD', `refs/heads/${wanted}`);
  const moved = await fastForward(git, wanted, { behind, noise: [] });
  if (moved.outcome === 'updated') {
    await git.look('branch', `--set-upstream-to=origin/${wanted}`);
    await noteDefault(git, news, null);
  }
  return moved;
}

function describeStanding(state: CloneState, branch: string, ahead: number): string {
  const own = [
    ...(ahead > 0 ? [`${count(ahead, 'commit')} of its own`] : []),
    ...(state.changed > 0 ? [count(state.changed, 'changed file')] : []),
    ...(state.untracked > 0 ? [count(state.untracked, 'untracked file')] : []),
  ];
  return `${branch} has all that the remote has${own.length === 0 ? '' : `, and ${own.join(', ')}`}`;
}

const keptMove = (why: string): Moved => ({ outcome: 'kept', detail: `left as it is: ${why}` });

/** Returns the error for a branch that the remote does not have. */
export function missingBranchError(branch: string | null, spec: Pick<CloneSpec, 'repoUrl'>): MembridgeError {
  return new MembridgeError(
    'git_not_found',
    branch === null
      ? `${spec.repoUrl} has no default branch. Name one in the project's settings.`
      : `There is no branch ${branch} in ${spec.repoUrl}. Correct the project's branch.`,
  );
}
