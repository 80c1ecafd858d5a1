import { existsSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Drift } from '../contract/projects/projects.ts';
import { findCheckoutNoise } from './checkout-noise.ts';
import type { Git } from './git.ts';

/** The state of a clone. */
export interface CloneState {
  /** Full hash; null while there is no commit. */
  readonly commit: string | null;
  /** The checked-out branch; null when there is none. */
  readonly branch: string | null;
  /** Number of tracked files changed since the last commit, staged or not, including in submodules. */
  readonly changed: number;
  readonly untracked: number;
  /**
   * Files that git reports as changed although they equal what a checkout writes: line endings, names that
   * differ in letter case.
   */
  readonly noise: readonly string[];
  /** Submodules without local work that are at another commit than the clone names. */
  readonly behind: readonly string[];
}

/** Maximum depth of nested submodules that are examined. */
const MAX_SUBMODULE_DEPTH = 8;

/** Reads the state of the clone, without taking any of its locks. */
export async function readState(git: Git, depth = 0): Promise<CloneState> {
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
  const commit = oid === undefined || oid === '(initial)' ? null : oid;
  const changes = lines.filter((line) => /^[12u] /.test(line)).map(readChange);
  const inFolder = changes.filter(({ xy }) => xy === '.M');
  const files = inFolder.filter(({ submodule }) => submodule === null).map(({ path }) => path);
  const noise = await findCheckoutNoise(git, files);
  const behind: string[] = [];
  let left = 0;
  for (const { path, submodule } of inFolder) {
    if (submodule === null || commit === null || depth >= MAX_SUBMODULE_DEPTH) continue;
    const standing = await submoduleStanding(git, { path, submodule, depth });
    if (standing === 'behind') behind.push(path);
    if (standing === 'untracked') left += 1;
  }
  return {
    commit,
    branch: head === undefined || head === '(detached)' ? null : head,
    changed: changes.length - noise.size - behind.length - left,
    untracked: lines.filter((line) => line.startsWith('? ')).length + left,
    noise: [...noise],
    behind,
  };
}

interface Change {
  readonly path: string;
  /** The states in the index and in the folder. */
  readonly xy: string;
  /**
   * `S`, then whether its commit, its files, its untracked files differ; null for anything but a submodule.
   */
  readonly submodule: string | null;
}

/**
 * Parses a line of status: `1 XY sub mH mI mW hH hI path`; conflict lines have more fields before the path,
 * and never `.M`.
 */
function readChange(line: string): Change {
  const [, xy = '', sub = ''] = line.split(' ', 3);
  const path = line.split(' ').slice(8).join(' ');
  return { path, xy, submodule: sub.startsWith('S') ? sub : null };
}

/**
 * Returns whether a differing submodule contains work, or was only left at a commit that the clone's history
 * named.
 */
async function submoduleStanding(
  git: Git,
  of: { path: string; submodule: string; depth: number },
): Promise<'behind' | 'untracked' | 'work'> {
  if (!(await isOwnSubmodule(git, of.path))) return 'work';
  const inside = git.in(join(git.path, of.path));
  const state = await readState(inside, of.depth + 1);
  if (state.changed > 0) return 'work';
  if (of.submodule[1] !== 'C') return of.submodule[2] === 'M' ? 'behind' : 'untracked';
  return (await isUntouched(git, of.path, state)) ? 'behind' : 'work';
}

/**
 * Returns whether a submodule's `.git` is where this clone keeps those of its submodules. The settings of any
 * other repository were not checked, and could run a command.
 */
export async function isOwnSubmodule(git: Git, path: string): Promise<boolean> {
  const folder = join(git.path, path);
  try {
    if ((await realpath(folder)) !== join(await realpath(git.path), path)) return false;
    const [, named = ''] = /^gitdir: (.+?)\s*$/.exec(await readFile(join(folder, '.git'), 'utf8')) ?? [];
    const modules = join(await git.ask('rev-parse', '--absolute-git-dir'), 'modules');
    return named !== '' && (await realpath(resolve(folder, named))).startsWith(`${await realpath(modules)}/`);
  } catch {
    return false;
  }
}

/**
 * Returns whether a submodule is where the clone put it: no branch, no changes, and at a commit that the
 * clone's history named for it.
 */
export async function isUntouched(git: Git, path: string, state: CloneState): Promise<boolean> {
  if (state.commit === null || state.branch !== null || state.changed > 0) return false;
  const named = await git.look(
    'log',
    '-1',
    '--format=%H',
    `--find-object=${state.commit}`,
    'HEAD',
    '--',
    path,
  );
  return named.code === 0 && named.stdout.trim() !== '';
}

/** Returns the clone's ref for a branch of the remote. */
export const remoteRef = (branch: string): string => `refs/remotes/origin/${branch}`;

/** Returns the remote's default branch as recorded in the clone; null when unknown. */
export async function remoteDefault(git: Git): Promise<string | null> {
  const { code, stdout } = await git.look('symbolic-ref', '--quiet', 'refs/remotes/origin/HEAD');
  return code === 0 ? stdout.trim().replace(/^refs\/remotes\/origin\//, '') : null;
}

/**
 * Returns the distance between the clone and the remote's branch of the same name, or its default if no
 * branch is checked out.
 */
export async function readDrift(git: Git, state: CloneState): Promise<Drift> {
  const dirty = state.changed + state.untracked;
  const branch = state.branch ?? (await remoteDefault(git));
  const { behind, ahead } = await countDistance(git, state, branch);
  return { behind, ahead, dirty };
}

/**
 * Counts commits that only the remote's branch has, and that only the clone has; null when the remote has no
 * such branch.
 */
export async function countDistance(
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

/**
 * Counts the commits of HEAD that never were on a branch of the remote, now or in git's log of the remote's
 * branches. Without a log, commits that a rewritten remote dropped count as the clone's own.
 */
export async function countOwn(git: Git, branches: readonly string[]): Promise<number> {
  const hashes = new Set<string>();
  for (const branch of branches) {
    const log = resolve(git.path, await git.ask('rev-parse', '--git-path', `logs/${remoteRef(branch)}`));
    const text = await readFile(log, 'utf8').catch(() => '');
    for (const [, old = '', next = ''] of text.matchAll(/^([0-9a-f]{40,64}) ([0-9a-f]{40,64}) /gm))
      [old, next].filter((hash) => !/^0+$/.test(hash)).forEach((hash) => hashes.add(hash));
  }
  const not = [...hashes].map((hash) => `^${hash}\n`).join('');
  const args = ['rev-list', '--count', '--ignore-missing', 'HEAD', '--stdin', '--not', '--remotes=origin'];
  return Number(await git.askWith(not, ...args));
}

/** Unfinished operations, by the files that git keeps during them. */
const OPERATION_FILES = [
  ['index.lock', 'another git works in it (if none does, remove its index.lock)'],
  ['rebase-merge', 'a rebase is in progress'],
  ['rebase-apply', 'a rebase is in progress'],
  ['MERGE_HEAD', 'a merge is in progress'],
  ['CHERRY_PICK_HEAD', 'a cherry-pick is in progress'],
  ['REVERT_HEAD', 'a revert is in progress'],
  ['BISECT_LOG', 'a bisect is in progress'],
] as const;

/**
 * Returns a person's unfinished operation in the clone, as the end of a sentence; null when there is none.
 */
export async function findOperation(git: Git): Promise<string | null> {
  const folder = await git.ask('rev-parse', '--absolute-git-dir');
  return OPERATION_FILES.find(([file]) => existsSync(join(folder, file)))?.[1] ?? null;
}
