/**
 * Fetching into a clone without its settings: git works in a bare repository of the agent's own, whose only tie to the clone is that new
 * objects are written where the clone has its objects. The clone's branches of the remote are set afterwards, without any credential.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import type { Git } from './git.ts';

/**
 * Fetches from an address, and sets what the clone knows of the remote. New tags are taken; existing ones stay.
 * @param where.objects the clone's folder of objects
 * @param where.common the folder of git's that its worktrees share
 * @throws MembridgeError by what git said
 */
export async function fetchApart(
  git: Git,
  where: { objects: string; common: string },
  source: string,
  refspecs: readonly string[],
): Promise<void> {
  const bare = join(git.aside, 'fetch.git');
  const format = await git.ask('rev-parse', '--show-object-format');
  await git.in(git.aside).ask('init', '--quiet', '--bare', '--template=', `--object-format=${format}`, bare);
  const before = await readRefs(git);
  const lines = [...before].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([ref, hash]) => `${hash} ${ref}\n`);
  await writeFile(join(bare, 'packed-refs'), lines.join(''));
  const shallow = join(where.common, 'shallow');
  if (existsSync(shallow)) await copyFile(shallow, join(bare, 'shallow'));
  // The one setting of the clone that is taken over: from how many objects on a pack stays a pack. It is a number, or nothing.
  const limit = /^\d{1,9}$/.exec((await git.look('config', '--get', 'fetch.unpackLimit')).stdout.trim())?.[0];
  const settings = limit === undefined ? [] : ['-c', `fetch.unpackLimit=${limit}`];
  const apart = git.in(bare).with({ GIT_DIR: bare, GIT_OBJECT_DIRECTORY: where.objects }, settings);
  await mkdir(join(bare, 'objects'), { recursive: true });
  const fetch = ['fetch', '--progress', '--refmap=', '--no-recurse-submodules', '--', source, ...refspecs];
  await apart.overNetwork(fetch, { grows: where.objects });
  const after = await readRefs(apart);
  const changes = [...after].flatMap(([ref, hash]) => {
    const old = before.get(ref);
    if (old === hash) return [];
    if (ref.startsWith('refs/remotes/origin/')) return [`update ${ref} ${hash}\n`];
    return ref.startsWith('refs/tags/') && old === undefined ? [`create ${ref} ${hash}\n`] : [];
  });
  const cut = await readFile(join(bare, 'shallow'), 'utf8').catch(() => null);
  // Before the branches: they must never lead to commits whose parents are not there.
  if (cut !== null && cut !== (await readFile(shallow, 'utf8').catch(() => null)))
    await writeFile(shallow, cut);
  if (changes.length > 0) await git.feed(changes.join(''), 'update-ref', '--stdin');
}

/** Every ref that names an object itself. */
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
