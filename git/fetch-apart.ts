/**
 * Fetches into a clone without using its settings. git runs in a bare repository of the agent's own. That has
 * one link to the clone: git writes new objects into the clone's object folder. The clone's remote branches
 * are set afterwards, without any credential.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import type { Git } from './git.ts';
import { refusePage } from './hosts.ts';

const ORIGIN_PREFIX = 'refs/remotes/origin/';

/** Where the bare repository stores the remote's default commit. The clone never gets this ref. */
const HEAD_REF = 'refs/membridge/HEAD';

/** The remote's refs, as far as the refspecs asked for them. */
export interface Fetched {
  /** The commit of each fetched branch of the remote. */
  readonly branches: ReadonlyMap<string, string>;
  /** The commit of the remote's HEAD; null when it was not requested, or names no commit. */
  readonly head: string | null;
}

/**
 * Fetches from an address, and updates the clone's remote branches. Removes branches below
 * `refs/remotes/origin/` that the remote no longer has before it writes new ones: `feature` may have become
 * `feature/one`. Adds new tags; existing ones stay.
 * @param where.objects the clone's object folder
 * @param where.common the git folder that its worktrees share
 * @param asksHead whether to learn the remote's HEAD, too
 * @throws MembridgeError by git's message; git_busy when another git holds a lock in the clone
 */
export async function fetchApart(
  git: Git,
  where: { objects: string; common: string },
  source: string,
  { refspecs, asksHead }: { refspecs: readonly string[]; asksHead: boolean },
): Promise<Fetched> {
  const bare = join(git.aside, 'fetch.git');
  const format = await git.ask('rev-parse', '--show-object-format');
  await git.in(git.aside).ask('init', '--quiet', '--bare', '--template=', `--object-format=${format}`, bare);
  const before = await readRefs(git);
  const lines = [...before].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([ref, hash]) => `${hash} ${ref}\n`);
  await writeFile(join(bare, 'packed-refs'), lines.join(''));
  const shallow = join(where.common, 'shallow');
  if (existsSync(shallow)) await copyFile(shallow, join(bare, 'shallow'));
  // The only setting taken from the clone: from how many objects on a pack is kept. It is a number, or
  // absent.
  const limit = /^\d{1,9}$/.exec((await git.look('config', '--get', 'fetch.unpackLimit')).stdout.trim())?.[0];
  const settings = limit === undefined ? [] : ['-c', `fetch.unpackLimit=${limit}`];
  const apart = git.in(bare).with({ GIT_DIR: bare, GIT_OBJECT_DIRECTORY: where.objects }, settings);
  await mkdir(join(bare, 'objects'), { recursive: true });
  await fetch(apart, { source, refspecs, asksHead, grows: where.objects });
  const after = await readRefs(apart);
  // Must come before any branch is considered gone.
  if (![...after.keys()].some((ref) => ref.startsWith(ORIGIN_PREFIX))) await refusePage(git, source);
  const cut = await readFile(join(bare, 'shallow'), 'utf8').catch(() => null);
  // Before the branches, which must never lead to commits with missing parents.
  if (cut !== null && cut !== (await readFile(shallow, 'utf8').catch(() => null)))
    await writeFile(shallow, cut);
  await setRefs(git, before, after);
  const branches = [...after].filter(([ref]) => ref.startsWith(ORIGIN_PREFIX));
  return {
    branches: new Map(branches.map(([ref, hash]) => [ref.slice(ORIGIN_PREFIX.length), hash])),
    head: after.get(HEAD_REF) ?? null,
  };
}

/**
 * Fetches into the bare repository. Leaves out a HEAD that leads nowhere, and a tag that conflicts with
 * another.
 */
async function fetch(
  apart: Git,
  of: { source: string; refspecs: readonly string[]; asksHead: boolean; grows: string },
): Promise<void> {
  let { asksHead } = of;
  let tags: string[] = [];
  for (;;) {
    const head = asksHead ? [`+HEAD:${HEAD_REF}`] : [];
    const options = ['--progress', '--prune', '--refmap=', '--no-recurse-submodules', ...tags];
    const args = ['fetch', ...options, '--', of.source, ...of.refspecs, ...head];
    const answer = await apart.tryNetwork(args, { grows: of.grows });
    if (answer.code === 0) return;
    if (asksHead && /couldn't find remote ref HEAD/i.test(answer.stderr)) asksHead = false;
    else if (tags.length === 0 && /refs\/tags\/.* exists; cannot create/i.test(answer.stderr))
      tags = ['--no-tags'];
    else throw apart.failure(answer);
  }
}

/**
 * Copies the bare repository's remote branches to the clone. git refuses `a` and `a/b` in one transaction,
 * even when one of them is deleted.
 */
async function setRefs(
  git: Git,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): Promise<void> {
  const gone = [...before.keys()].filter((ref) => ref.startsWith(ORIGIN_PREFIX) && !after.has(ref));
  const changed = [...after].filter(
    ([ref, hash]) => ref.startsWith(ORIGIN_PREFIX) && before.get(ref) !== hash,
  );
  const tags = [...after].filter(([ref]) => ref.startsWith('refs/tags/') && !before.has(ref));
  // The former values of a remote branch distinguish its rewritten commits from a person's own, so a log is
  // needed.
  const logged = git.with({}, ['-c', 'core.logAllRefUpdates=true']);
  const write = async (lines: readonly string[]): Promise<void> => {
    if (lines.length > 0) await logged.feed(lines.join(''), 'update-ref', '--stdin');
  };
  await write(gone.map((ref) => `delete ${ref}\n`));
  await write(changed.map(([ref, hash]) => `update ${ref} ${hash}\n`));
  await write(tags.map(([ref, hash]) => `create ${ref} ${hash}\n`));
}

/** Returns every ref that names an object directly. */
async function readRefs(git: Git): Promise<Map<string, string>> {
  const text = await git.ask(
    'for-each-ref',
    '--format=%(objectname) %(refname)%(if)%(symref)%(then) symbolic%(end)',
  );
  const refs = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [hash = '', ref = '', symbolic] = line.split(' ');
    if (ref !== '' && symbolic === undefined) refs.set(ref, hash);
  }
  return refs;
}
