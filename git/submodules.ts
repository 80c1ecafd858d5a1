import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Git } from './git.ts';
import { isOwnSubmodule, isUntouched, readState } from './state.ts';
import type { MembridgeError } from '../contract/errors.ts';

/** A submodule in the clone's index and its `.gitmodules`. */
interface Submodule {
  readonly name: string;
  readonly path: string;
  /** The commit that the clone's commit names. */
  readonly commit: string;
  /** The address in `.gitmodules`; it may be relative to the clone's own. */
  readonly address: string;
}

/** The result of updating submodules. */
interface Followed {
  added: number;
  /** Submodules that are not at their commit yet, each with the reason. */
  readonly left: string[];
  /** The first failure; the other submodules are updated nevertheless. */
  failure: MembridgeError | null;
}

/** Maximum depth of nested submodules that are updated. */
const MAX_SUBMODULE_DEPTH = 8;

/** Messages of servers and git about a commit that was not pushed. */
const NOT_PUSHED = /not our ref|did not contain|unable to find current|reference is not a tree/i;

/**
 * Updates the submodules to the commits that the clone's commit names, and fetches missing ones. Leaves a
 * submodule with local work alone; one whose commit is not on its server yet is updated by a later call.
 * @param options.checkAddress throws for a forbidden address
 * @returns what to add to the detail
 * @throws MembridgeError by git's message about the first submodule that could not be fetched, after the
 * others were updated; when the work is canceled or stalls; errors of checkAddress
 */
export async function followSubmodules(
  git: Git,
  options: { checkAddress(address: string): void },
): Promise<string> {
  const followed: Followed = { added: 0, left: [], failure: null };
  await followBelow(git, { ...options, followed, prefix: '', depth: 0 });
  const { added, left, failure } = followed;
  if (failure !== null) throw failure;
  return (
    (added === 0 ? '' : `; ${added === 1 ? 'a submodule was' : `${added} submodules were`} added`) +
    (left.length === 0 ? '' : `; not yet every submodule (${left.join('; ')})`)
  );
}

async function followBelow(
  git: Git,
  of: { checkAddress(address: string): void; followed: Followed; prefix: string; depth: number },
): Promise<void> {
  if (of.depth >= MAX_SUBMODULE_DEPTH) return;
  for (const submodule of await listSubmodules(git)) {
    const inside = git.in(join(git.path, submodule.path));
    const isThere = existsSync(join(inside.path, '.git'));
    const why = await followOne(git, { ...of, submodule, inside, isThere });
    if (why !== null) of.followed.left.push(`${of.prefix}${submodule.path}: ${why}`);
    else if (!isThere) of.followed.added += 1;
    if (!(await isOwnSubmodule(git, submodule.path))) continue;
    await followBelow(inside, { ...of, prefix: `${of.prefix}${submodule.path}/`, depth: of.depth + 1 });
  }
}

/** @returns why the submodule is not at its commit; null when it is */
async function followOne(
  git: Git,
  of: {
    checkAddress(address: string): void;
    followed: Followed;
    submodule: Submodule;
    inside: Git;
    isThere: boolean;
  },
): Promise<string | null> {
  const { submodule, inside, isThere } = of;
  const { path, commit } = submodule;
  if (isThere) {
    if (!(await isOwnSubmodule(git, path))) return 'it is a repository of its own';
    const state = await readState(inside);
    if (state.commit === commit) return null;
    if (state.commit !== null && !(await isUntouched(git, path, state))) return 'it contains local work';
  }
  const address = await settleAddress(git, submodule);
  of.checkAddress(address);
  const isFetched = isThere && (await inside.look('cat-file', '-e', `${commit}^{commit}`)).code === 0;
  // Not interrupted when it needs no server: a half-finished update would look like a person's work.
  const answer = isFetched
    ? await git.runUninterrupted('submodule', 'update', '--checkout', '--no-fetch', '--quiet', '--', path)
    : await git.tryNetwork(['submodule', 'update', '--init', '--checkout', '--progress', '--', path], {
        grows: join(git.path, '.git'),
      });
  if (answer.code === 0) return null;
  // Without a checkout it would look like one that a person emptied.
  if (!isThere) await git.runUninterrupted('submodule', '--quiet', 'deinit', '--force', '--', path);
  if (NOT_PUSHED.test(answer.stderr))
    return `its commit ${commit.slice(0, 8)} is not on its server yet; it follows with a later update`;
  of.followed.failure ??= git.failure(answer);
  return 'git failed';
}

/**
 * Makes the clone use the submodule's current address. Keeps an address that a person set in this clone,
 * recognized because `.gitmodules` never contained it.
 * @returns the address that will be contacted
 */
async function settleAddress(git: Git, { name, path, address }: Submodule): Promise<string> {
  const key = `submodule.${name}.url`;
  const read = async (): Promise<string | null> => {
    const { code, stdout } = await git.look('config', '--local', '--get', key);
    return code === 0 ? stdout.trim() : null;
  };
  await git.runUninterrupted('submodule', '--quiet', 'init', '--', path);
  // The update method in `.gitmodules` is not copied: it may be a command, and the agent refuses a clone with
  // that setting.
  await git.look('config', '--local', '--unset-all', `submodule.${name}.update`);
  const configured = await read();
  if (configured === null || configured === address) return configured ?? address;
  const isRelative = /^\.\.?\//.test(address);
  const past = await git.look('log', '-1', '--format=%H', `-S${configured}`, 'HEAD', '--', '.gitmodules');
  if (isRelative || past.stdout.trim() !== '') {
    await git.runUninterrupted('submodule', '--quiet', 'sync', '--', path);
  }
  return (await read()) ?? address;
}

/** Returns the submodules of a clone's index that `.gitmodules` knows. */
async function listSubmodules(git: Git): Promise<Submodule[]> {
  // A submodule: `160000 hash stage`, a tab and the path.
  const entries = (await git.ask('ls-files', '--stage', '-z')).split('\0');
  const commits = new Map(
    entries.flatMap((entry) => {
      const [, commit, path] = /^160000 ([0-9a-f]+) [^\t]*\t(.+)$/s.exec(entry) ?? [];
      return commit === undefined || path === undefined ? [] : [[path, commit] as const];
    }),
  );
  if (commits.size === 0) return [];
  const listed = await git.look('config', '--file', '.gitmodules', '--list', '-z');
  const settings = new Map<string, { path?: string; url?: string; update?: string }>();
  for (const [, name = '', key = '', value = ''] of listed.stdout.matchAll(
    /(?:^|\0)submodule\.([^\0\n]+)\.(path|url|update)\n([^\0]*)/g,
  ))
    settings.set(name, { ...settings.get(name), [key]: value });
  return [...settings].flatMap(([name, { path, url, update }]) => {
    const commit = path === undefined ? undefined : commits.get(path);
    return path === undefined || url === undefined || commit === undefined || update === 'none'
      ? []
      : [{ name, path, commit, address: url }];
  });
}
