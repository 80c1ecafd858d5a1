import { resolve } from 'node:path';
import { MembridgeError } from '../contract/errors.ts';
import { isSameRepository, parseGitUrl } from '../contract/projects/git-url.ts';
import type { CloneSpec, NodeCredential } from '../contract/projects/projects.ts';
import { fetchApart, type Fetched } from './fetch-apart.ts';
import type { Git } from './git.ts';
import { refusePage } from './hosts.ts';
import { withoutLeftovers } from './leftovers.ts';
import { withoutUserinfo } from './redact.ts';
import { remoteDefault, remoteRef } from './state.ts';

/**
 * Checks that a clone belongs to the project's repository, by its remote `origin`.
 * @throws MembridgeError clone_refused naming both addresses without secrets
 */
export async function checkOrigin(git: Git, path: string, repoUrl: string): Promise<void> {
  const inside = await git.look('rev-parse', '--absolute-git-dir');
  if (inside.code !== 0) {
    const why = /dubious ownership/.test(inside.stderr)
      ? 'belongs to another user of this machine, so git does not touch it'
      : 'is damaged: git does not know it as a repository';
    throw new MembridgeError(
      'clone_refused',
      `The folder at ${path} ${why}. Move it away, or give the project another target path.`,
    );
  }
  const { code, stdout } = await git.look('config', '--local', '--get', 'remote.origin.url');
  const written = stdout.trim();
  if (code === 0 && (await isSame(git, written, repoUrl))) return;
  const other =
    code === 0 ? `of ${withoutUserinfo(written).replace(/[?#].*$/, '')}` : 'without a remote "origin"';
  throw new MembridgeError(
    'clone_refused',
    `At ${path} is a clone ${other}, not of ${withoutUserinfo(repoUrl)}. Move it away, or give the project another target path.`,
  );
}

/**
 * Returns whether two addresses mean one repository, either as written or as the user's settings
 * (`url.….insteadOf`) rewrite them.
 */
async function isSame(git: Git, origin: string, repoUrl: string): Promise<boolean> {
  const plain = (address: string): string =>
    asAddress(withoutUserinfo(address.trim()).replace(/[?#].*$/, ''));
  if (isSameRepository(plain(origin), plain(repoUrl))) return true;
  const [one, other] = [await resolveAddress(git, origin), await resolveAddress(git, repoUrl)].map(plain);
  return [plain(origin), one].some((a) =>
    [plain(repoUrl), other].some((b) => isSameRepository(a ?? '', b ?? '')),
  );
}

/** Returns an address after the user's rewriting rules, without contacting any server. */
async function resolveAddress(git: Git, address: string): Promise<string> {
  const { code, stdout } = await git.in(git.aside).look('ls-remote', '--get-url', '--', address);
  return code === 0 ? stdout.trim() : address;
}

/** Converts ssh's short form `host:path`; our addresses name a user. */
const asAddress = (origin: string): string =>
  /^[A-Za-z0-9.-]+:(?!\/\/)/.test(origin) ? `git@${origin}` : origin;

/** Returns the branches that a clone of only some branches keeps of the remote; null when it keeps all. */
async function readFetchedBranches(git: Git, wanted: string | null): Promise<string[] | null> {
  const { stdout } = await git.look('config', '--get-all', 'remote.origin.fetch');
  const kept = stdout.split('\n').map((line) => line.replace(/^\+/, ''));
  const named = kept.flatMap(
    (line) => /^refs\/heads\/([^*:]+):refs\/remotes\/origin\/\1$/.exec(line)?.[1] ?? [],
  );
  if (named.length === 0 || kept.includes('refs/heads/*:refs/remotes/origin/*')) return null;
  return [...new Set([...named, ...(wanted === null ? [] : [wanted])])];
}

// The clone's own refspecs (a mirror's, for example) may overwrite local branches; ours only write below
// origin/.
const refspecs = (branches: readonly string[] | null): string[] =>
  (branches ?? ['*']).map((branch) => `+refs/heads/${branch}:${remoteRef(branch)}`);

/** News from the remote. */
export interface RemoteNews {
  /** The commit of each branch that the clone keeps. */
  readonly branches: ReadonlyMap<string, string>;
  /**
   * The remote's default branch; null when there is none, or when the project names a branch and it was not
   * asked.
   */
  readonly defaultBranch: string | null;
}

/**
 * Asks the remote for news. Local branches, the index and files stay unchanged. Does not shorten a shallow
 * clone again, because a fast-forward needs the connection between its commit and the remote's.
 */
export async function fetchOrigin(
  git: Git,
  path: string,
  spec: CloneSpec,
  credential: NodeCredential['credential'],
): Promise<RemoteNews> {
  // With a credential, use the address that it is for; without one, the clone's own address.
  const source = credential === null ? await originAddress(git) : spec.repoUrl;
  const { branch } = spec.options;
  const narrowed = await readFetchedBranches(git, branch);
  // In a linked worktree they are in another folder.
  const objects = resolve(path, await git.ask('rev-parse', '--git-path', 'objects'));
  const common = resolve(path, await git.ask('rev-parse', '--git-common-dir'));
  const fetch = async (branches: readonly string[] | null): Promise<Fetched> =>
    await withoutLeftovers(objects, async () => {
      const what = { refspecs: refspecs(branches), asksHead: branch === null };
      return await fetchApart(git, { objects, common }, source, what);
    });
  try {
    const fetched = await fetch(narrowed);
    const defaultBranch = branch === null ? await defaultOf(git, source, fetched) : null;
    // A clone of one branch learns about others only by asking for them.
    if (defaultBranch === null || fetched.branches.has(defaultBranch) || narrowed === null)
      return { branches: fetched.branches, defaultBranch };
    return { branches: (await fetch([...narrowed, defaultBranch])).branches, defaultBranch };
  } catch (error) {
    const isMissing = error instanceof MembridgeError && error.code === 'git_not_found';
    if (!isMissing || narrowed === null) throw error;
    const there = new Set(await listBranches(git, source, git.aside));
    // A missing named branch is not a failure while the remote has no branches at all.
    if (there.size > 0 && branch !== null && !there.has(branch)) throw error;
    const defaultBranch = there.size > 0 && branch === null ? await askDefault(git, source, git.aside) : null;
    const left = narrowed.filter((each) => there.has(each));
    const gone = narrowed.filter((each) => !there.has(each));
    await git.feed(gone.map((each) => `delete ${remoteRef(each)}\n`).join(''), 'update-ref', '--stdin');
    const wanted = [...new Set([...left, ...(defaultBranch === null ? [] : [defaultBranch])])];
    if (wanted.length === 0) return { branches: new Map(), defaultBranch };
    return { branches: (await fetch(wanted)).branches, defaultBranch };
  }
}

/**
 * Returns the remote's default branch: the one at HEAD's commit, or the remote's answer if several branches
 * are there.
 */
async function defaultOf(git: Git, source: string, { head, branches }: Fetched): Promise<string | null> {
  if (head === null) return null;
  const at = [...branches].filter(([, hash]) => hash === head).map(([name]) => name);
  return at.length === 1 ? (at[0] ?? null) : await askDefault(git, source, git.aside);
}

/**
 * Records the remote's default branch in the clone. While the clone is still on the former default, that one
 * stays recorded, because it explains why the clone is there.
 * @param branch the checked-out branch
 */
export async function noteDefault(git: Git, news: RemoteNews, branch: string | null): Promise<void> {
  const { defaultBranch } = news;
  if (defaultBranch === null || !news.branches.has(defaultBranch)) return;
  const noted = await remoteDefault(git);
  if (noted === defaultBranch || (noted !== null && noted === branch)) return;
  await git.look('symbolic-ref', 'refs/remotes/origin/HEAD', remoteRef(defaultBranch));
}

/** Returns the address of the clone's remote as written; the user's settings may rewrite it. */
export async function originAddress(git: Git): Promise<string> {
  return await git.ask('config', '--local', '--get', 'remote.origin.url');
}

/**
 * Returns the remote's branches.
 * @throws MembridgeError when the remote cannot be asked
 */
export async function listBranches(git: Git, source: string, cwd: string): Promise<string[]> {
  const text = await git.in(cwd).runOverNetwork(['ls-remote', '--heads', '--', source], { grows: cwd });
  const names = [...text.matchAll(/^[0-9a-f]+\trefs\/heads\/(.+)$/gm)].map(([, name = '']) => name);
  if (names.length === 0) await refusePage(git, source);
  return names;
}

/** Asks the remote for its default branch; null while it has none. */
export async function askDefault(git: Git, source: string, cwd: string): Promise<string | null> {
  const text = await git
    .in(cwd)
    .runOverNetwork(['ls-remote', '--symref', '--', source, 'HEAD'], { grows: cwd });
  return /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(text)?.[1] ?? null;
}

/** Returns whether a credential may be used for this address. */
export function isForAddress(credential: NodeCredential['credential'], repoUrl: string): boolean {
  return credential !== null && (parseGitUrl(repoUrl).protocol === 'ssh') === (credential.kind === 'ssh-key');
}
