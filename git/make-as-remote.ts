/**
 * Resets a clone to its remote and keeps what was there. This serves a clone that updates leave alone because
 * of local work or a rewritten remote.
 */
import { copyFile, lstat, rm, rmdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MembridgeError } from '../contract/errors.ts';
import type { CloneSpec } from '../contract/projects/projects.ts';
import { count } from './decide-move.ts';
import type { Git } from './git.ts';
import { noteDefault, type RemoteNews } from './remote.ts';
import { readState, remoteRef, findOperation, type CloneState } from './state.ts';
import { missingBranchError, readFacts, type Moved } from './update.ts';

/**
 * Prefix of branches that hold the former contents of a clone. Every git program shows a branch, and neither
 * `gc` nor `stash drop` removes it.
 */
const KEPT_PREFIX = 'kept/';

/** The author of commits of uncommitted files. */
const KEEP_AUTHOR = {
  GIT_AUTHOR_NAME: 'Membridge',
  GIT_AUTHOR_EMAIL: 'membridge@localhost',
  GIT_COMMITTER_NAME: 'Membridge',
  GIT_COMMITTER_EMAIL: 'membridge@localhost',
};

/** The parts of a clone that are kept before anything in it changes. */
interface KeptParts {
  /** A commit with every file that is changed, untracked or in the way. */
  readonly commit: string;
  /** Its tree. */
  readonly tree: string;
  readonly untracked: readonly string[];
  /** Ignored files where the remote has files. */
  readonly inTheWay: readonly string[];
}

/**
 * Resets a clone to its remote, after a fetch. First stores what exists only in the clone on a branch
 * `kept/<time>`. The branch has the clone's commits, then one commit with changed, staged and untracked
 * files. That commit also has the ignored files that are in the way.
 * @param options.expected the commit that was checked out when the person confirmed
 * @throws MembridgeError conflict when the clone is at another commit, an operation is unfinished, a
 * submodule contains work, or files change during the call; nothing is changed then
 * @throws MembridgeError git_not_found when the wanted branch does not exist
 */
export async function makeAsRemote(
  git: Git,
  spec: CloneSpec,
  options: { news: RemoteNews; expected: string; now: Date },
): Promise<Moved> {
  const { news, expected, now } = options;
  const state = await readState(git);
  const { wanted, exists, ahead } = await readFacts(git, spec, { state, news });
  if (wanted === null || !exists) throw missingBranchError(wanted, spec);
  // A repeated call after its answer was lost.
  const isDone = state.commit === news.branches.get(wanted) && state.branch === wanted && state.changed === 0;
  if (isDone && state.commit !== expected)
    return { outcome: 'unchanged', detail: `${wanted} already equals the remote` };
  await refuseUnclear(git, state, expected);
  const target = remoteRef(wanted);
  const kept = await keepAll(git, target);
  const name = `${KEPT_PREFIX}${now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')}`;
  const isDirty = kept.commit !== expected;
  const branches = [
    ...(isDirty || ahead > 0 ? [[name, kept.commit] as const] : []),
    ...(await findOwnTarget(git, { wanted, state, name })),
  ];
  if ((await keepAll(git, target)).tree !== kept.tree)
    throw conflictError(
      `Files in ${git.path} changed while they were being kept. Stop the program that writes them, and confirm again. Nothing was changed`,
    );
  for (const [branch, commit] of branches)
    await git.feed(`create refs/heads/${branch} ${commit}\n`, 'update-ref', '--stdin');
  for (const file of [...kept.untracked, ...kept.inTheWay]) await removeFile(git.path, file);
  // Everything is kept now, so git may overwrite files, but never inside submodules.
  const checkout = ['checkout', '--quiet', '--force', '--no-recurse-submodules', '--no-track'];
  const answer = await git.runUninterrupted(...checkout, '-B', wanted, target);
  if (answer.code !== 0) {
    const { code, message } = git.failure(answer);
    throw new MembridgeError(code, message + describeKept(branches, { ahead, state, kept }));
  }
  await git.look('branch', `--set-upstream-to=origin/${wanted}`, wanted);
  await noteDefault(git, news, null);
  return {
    outcome: 'updated',
    detail: `made as the remote: ${wanted} equals the remote${describeKept(branches, { ahead, state, kept })}`,
  };
}

function describeKept(
  branches: readonly (readonly [string, string])[],
  of: { ahead: number; state: CloneState; kept: KeptParts },
): string {
  if (branches.length === 0) return '; the clone contained nothing else';
  const { ahead, state, kept } = of;
  const parts = [
    ...(ahead > 0 ? [count(ahead, 'commit')] : []),
    ...(state.changed > 0 ? [count(state.changed, 'changed file')] : []),
    ...(kept.untracked.length > 0 ? [count(kept.untracked.length, 'untracked file')] : []),
    ...(kept.inTheWay.length > 0 ? [count(kept.inTheWay.length, 'ignored file')] : []),
  ];
  const what = parts.length === 0 ? '' : ` (${parts.join(', ')})`;
  return `; the former contents are on branch ${branches.map(([name]) => name).join(' and ')}${what}`;
}

const conflictError = (sentence: string): MembridgeError => new MembridgeError('conflict', `${sentence}.`);

async function refuseUnclear(git: Git, state: CloneState, expected: string): Promise<void> {
  const busy = await findOperation(git);
  if (busy !== null)
    throw conflictError(
      `In ${git.path}, ${busy}. Finish or abort it, and confirm again. Nothing was changed`,
    );
  if (state.commit !== expected)
    throw conflictError(
      `The clone at ${git.path} is at ${state.commit ?? 'no commit'} now, no longer at ${expected}. Review it again, and confirm again. Nothing was changed`,
    );
  const text = await git.ask('--no-optional-locks', 'status', '--porcelain=v2', '--no-renames', '-z');
  const modules = text.split('\0').flatMap((line) => /^1 \S+ S\S* (?:\S+ ){5}(.+)$/s.exec(line)?.[1] ?? []);
  const work = modules.find((path) => !state.behind.includes(path));
  if (work !== undefined)
    throw conflictError(
      `The submodule ${work} has work in it, which cannot be kept from outside. Commit and push it there. Nothing was changed`,
    );
}

/**
 * Returns the clone's own branch of the wanted name if another branch is checked out and this one has commits
 * that the remote lacks.
 */
async function findOwnTarget(
  git: Git,
  of: { wanted: string; state: CloneState; name: string },
): Promise<[string, string][]> {
  if (of.state.branch === of.wanted) return [];
  const found = await git.look('rev-parse', '--verify', '--quiet', `refs/heads/${of.wanted}`);
  if (found.code !== 0) return [];
  const commit = found.stdout.trim();
  const isOld = (await git.look('merge-base', '--is-ancestor', commit, remoteRef(of.wanted))).code === 0;
  return isOld ? [] : [[`${of.name}-${of.wanted.replaceAll('/', '-')}`, commit]];
}

/**
 * Commits everything in the folder through a separate index, so that neither files nor the clone's index
 * change.
 */
async function keepAll(git: Git, target: string): Promise<KeptParts> {
  const own = join(git.aside, 'kept-index');
  const real = await git.ask('rev-parse', '--path-format=absolute', '--git-path', 'index');
  await rm(own, { force: true });
  if (existsSync(real)) await copyFile(real, own);
  const apart = git.with({ ...KEEP_AUTHOR, GIT_INDEX_FILE: own });
  const staged = await apart.ask('write-tree');
  const list = async (...args: string[]): Promise<string[]> =>
    (await git.ask('ls-files', '-z', ...args)).split('\0').filter((path) => path !== '');
  // A name that ends with a slash is a nested repository, which is neither kept nor touched.
  const others = await list('--others', '--exclude-standard');
  const ignored = await list('--others', '--ignored', '--exclude-standard');
  const isRepository = (path: string): boolean => path.endsWith('/');
  const nested = [...others, ...ignored].filter(isRepository).map((path) => path.slice(0, -1));
  const [blocked] = await listOverwritten(git, target, nested);
  if (blocked !== undefined)
    throw conflictError(
      `A repository of its own lies at ${blocked}, where the remote has files. Move it away. Nothing was changed`,
    );
  const untracked = others.filter((path) => !isRepository(path));
  const files = ignored.filter((path) => !isRepository(path));
  const inTheWay = await listOverwritten(git, target, files);
  await apart.ask('add', '--update');
  const added = [...untracked, ...inTheWay];
  if (added.length > 0)
    await apart.feed(
      added.map((path) => `:(literal,top)${path}\0`).join(''),
      'add',
      '--force',
      '--pathspec-from-file=-',
      '--pathspec-file-nul',
    );
  const tree = await apart.ask('write-tree');
  const head = await git.ask('rev-parse', 'HEAD');
  const headTree = await git.ask('rev-parse', 'HEAD^{tree}');
  if (tree === headTree && staged === headTree) return { commit: head, tree, untracked, inTheWay };
  const parents = ['-p', head];
  if (staged !== headTree && staged !== tree) {
    const index = await apart.ask('commit-tree', staged, '-p', head, '-m', 'Staged changes');
    parents.push('-p', index);
  }
  const message = 'The clone before it was made as the remote';
  return {
    commit: await apart.ask('commit-tree', tree, ...parents, '-m', message),
    tree,
    untracked,
    inTheWay,
  };
}

/** Returns the paths that a checkout would overwrite: at, below or above a file of the remote. */
async function listOverwritten(git: Git, target: string, paths: readonly string[]): Promise<string[]> {
  if (paths.length === 0) return [];
  const coming = (await git.ask('ls-tree', '-r', '-z', '--name-only', target)).split('\0');
  const places = new Set(coming);
  const folders = new Set(coming.flatMap(parents));
  return paths.filter(
    (path) => places.has(path) || folders.has(path) || parents(path).some((each) => places.has(each)),
  );
}

/** Returns the folders on a path. */
function parents(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_part, at) => parts.slice(0, at + 1).join('/'));
}

/** Removes a file that is kept, and folders that become empty. */
async function removeFile(root: string, path: string): Promise<void> {
  const isLink = async (folder: string): Promise<boolean> =>
    (await lstat(join(root, folder)).catch(() => null))?.isSymbolicLink() === true;
  // If a link has replaced a folder on the path, the removal would happen outside the clone.
  for (const folder of parents(path)) if (await isLink(folder)) return;
  await rm(join(root, path), { force: true });
  for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
    try {
      await rmdir(join(root, folder));
    } catch {
      return;
    }
  }
}
