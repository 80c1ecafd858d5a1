import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Drift } from '../contract/projects.ts';
import type { Git } from './git.ts';

/** How a clone stands. */
export interface CloneState {
  /** Full hash; null while there is no commit. */
  readonly commit: string | null;
  /** The branch that is checked out; null when none is. */
  readonly branch: string | null;
  /** Files that git follows and that differ from the last commit, staged or not, in submodules too. */
  readonly changed: number;
  readonly untracked: number;
}

/** Reads how the clone stands, without taking any of its locks. */
export async function readState(git: Git): Promise<CloneState> {
  const text = await git.ask(
    '--no-optional-locks',
    'status',
    '--porcelain=v2',
    '--branch',
    '--untracked-files=all',
    '--ignore-submodules=none',
    '--no-renames',
    '-z',
  );
  const lines = text.split('\0');
  const header = (name: string): string | undefined =>
    lines.find((line) => line.startsWith(`# ${name} `))?.slice(name.length + 3);
  const oid = header('branch.oid');
  const head = header('branch.head');
  return {
    commit: oid === undefined || oid === '(initial)' ? null : oid,
    branch: head === undefined || head === '(detached)' ? null : head,
    changed: lines.filter((line) => /^[12u] /.test(line)).length,
    untracked: lines.filter((line) => line.startsWith('? ')).length,
  };
}

/** Where the remote's branch is noted in the clone. */
export const remoteRef = (branch: string): string => `refs/remotes/origin/${branch}`;

/** The branch that the remote checks out by default, as the clone learned it; null where it did not. */
export async function remoteDefault(git: Git): Promise<string | null> {
  const { code, stdout } = await git.look('symbolic-ref', '--quiet', 'refs/remotes/origin/HEAD');
  return code === 0 ? stdout.trim().replace(/^refs\/remotes\/origin\//, '') : null;
}

/** How the clone stands to the remote's branch of the same name; to its default one where none is checked out. */
export async function readDrift(git: Git, state: CloneState): Promise<Drift> {
  const dirty = state.changed + state.untracked;
  const branch = state.branch ?? (await remoteDefault(git));
  const { behind, ahead } = await distance(git, state, branch);
  return { behind, ahead, dirty };
}

/** Commits that only the remote's branch has, and that only the clone has; null where the remote has no such branch. */
export async function distance(
  git: Git,
  state: CloneState,
  branch: string | null,
): Promise<Pick<Drift, 'behind' | 'ahead'>> {
  if (branch === null || (await git.look('rev-parse', '--verify', '--quiet', remoteRef(branch))).code !== 0) {
    return { behind: null, ahead: null };
  }
  if (state.commit === null) {
    return { behind: Number(await git.ask('rev-list', '--count', remoteRef(branch))), ahead: 0 };
  }
  const counts = await git.ask('rev-list', '--left-right', '--count', `HEAD...${remoteRef(branch)}`);
  const [ahead = 0, behind = 0] = counts.split(/\s+/).map(Number);
  return { behind, ahead };
}

/** What somebody is in the middle of, by the files that git keeps meanwhile. */
const UNDER_WAY = [
  ['index.lock', 'another git works in it (if none does, remove its index.lock)'],
  ['rebase-merge', 'a rebase is in progress'],
  ['rebase-apply', 'a rebase is in progress'],
  ['MERGE_HEAD', 'a merge is in progress'],
  ['CHERRY_PICK_HEAD', 'a cherry-pick is in progress'],
  ['REVERT_HEAD', 'a revert is in progress'],
  ['BISECT_LOG', 'a bisect is in progress'],
] as const;

/** What somebody is in the middle of in the clone, as a sentence's end; null when nobody is. */
export async function underWay(git: Git): Promise<string | null> {
  const folder = await git.ask('rev-parse', '--absolute-git-dir');
  return UNDER_WAY.find(([file]) => existsSync(join(folder, file)))?.[1] ?? null;
}
