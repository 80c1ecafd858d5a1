import { resolve } from 'node:path';
import { MembridgeError } from '../contract/errors.ts';
import { isSameRepository, parseGitUrl } from '../contract/git-url.ts';
import type { CloneSpec, NodeCredential } from '../contract/projects.ts';
import { fetchApart } from './fetch-apart.ts';
import type { Git } from './git.ts';
import { withoutLeftovers } from './leftovers.ts';
import { withoutUserinfo } from './redact.ts';
import { remoteRef } from './state.ts';

/**
 * Makes sure that a clone is one of the project's repository: by its remote `origin`.
 * @throws MembridgeError clone_refused naming both addresses, without what secrets may be in them
 */
export async function checkOrigin(git: Git, path: string, repoUrl: string): Promise<void> {
  const inside = await git.look('rev-parse', '--absolute-git-dir');
  if (inside.code !== 0) {
    const why = /dubious ownership/.test(inside.stderr)
      ? 'belongs to another user of this machine, so git does not touch it'
      : 'is damaged: git does not know it as a repository';
    throw new MembridgeError(
      'clone_refused',
      `What is at ${path} ${why}. Move it away, or give the project another target path.`,
    );
  }
  const { code, stdout } = await git.look('remote', 'get-url', 'origin');
  const origin = withoutUserinfo(stdout.trim()).replace(/[?#].*$/, '');
  if (code === 0 && isSameRepository(asAddress(origin), withoutUserinfo(repoUrl))) return;
  const other = code === 0 ? `of ${origin}` : 'without a remote "origin"';
  throw new MembridgeError(
    'clone_refused',
    `At ${path} is a clone ${other}, not of ${withoutUserinfo(repoUrl)}. Move it away, or give the project another target path.`,
  );
}

/** ssh takes `host:path`, too; our addresses name a user. */
const asAddress = (origin: string): string =>
  /^[A-Za-z0-9.-]+:(?!\/\/)/.test(origin) ? `git@${origin}` : origin;

/** What the clone keeps of the remote: all branches, or the ones that it was made with. */
async function refspecs(git: Git, wanted: string | null): Promise<string[]> {
  const { stdout } = await git.look('config', '--get-all', 'remote.origin.fetch');
  const kept = stdout.split('\n').map((line) => line.replace(/^\+/, ''));
  const named = kept.flatMap(
    (line) => /^refs\/heads\/([^*:]+):refs\/remotes\/origin\/\1$/.exec(line)?.[1] ?? [],
  );
  // Whatever else is configured (a mirror, say) may write over local branches; ours write below origin/ alone.
  if (named.length === 0 || kept.includes('refs/heads/*:refs/remotes/origin/*')) {
    return [`+refs/heads/*:${remoteRef('*')}`];
  }
  const branches = new Set([...named, ...(wanted === null ? [] : [wanted])]);
  return [...branches].map((branch) => `+refs/heads/${branch}:${remoteRef(branch)}`);
}

/**
 * Asks the remote what is new. Local branches, the index and files stay as they are. The history of a shallow clone is not
 * cut again: only so do its own commit and the remote's hang together, which a fast-forward needs.
 */
export async function fetchOrigin(
  git: Git,
  path: string,
  spec: CloneSpec,
  credential: NodeCredential['credential'],
): Promise<void> {
  // With a credential by the address that it is for; without, by whatever way the clone's user goes.
  const source = credential === null ? await originAddress(git) : spec.repoUrl;
  const wanted = await refspecs(git, spec.options.branch);
  // Of a linked worktree they are elsewhere.
  const objects = resolve(path, await git.ask('rev-parse', '--git-path', 'objects'));
  const common = resolve(path, await git.ask('rev-parse', '--git-common-dir'));
  try {
    await withoutLeftovers(objects, async () => {
      if (!spec.options.submodules) return await fetchApart(git, { objects, common }, source, wanted);
      // What submodules need is known in the clone alone. An empty refmap: what is configured for the remote has no effect.
      const fetch = [
        'fetch',
        '--progress',
        '--refmap=',
        '--recurse-submodules=on-demand',
        '--',
        source,
        ...wanted,
      ];
      await git.overNetwork(fetch, { grows: objects });
    });
  } catch (error) {
    // A named branch that is not there is no failure while the remote has none at all.
    const isMissing = error instanceof MembridgeError && error.code === 'git_not_found';
    if (!isMissing || !wanted.every((each) => !each.includes('*'))) throw error;
    if (!(await isEmptyRemote(git, source, git.aside))) throw error;
  }
}

/** The address of the clone's remote as it is written there: the user's own settings may make another of it. */
export async function originAddress(git: Git): Promise<string> {
  return await git.ask('config', '--local', '--get', 'remote.origin.url');
}

/** Whether the remote has no branch. @throws MembridgeError when it cannot be asked */
export async function isEmptyRemote(git: Git, source: string, cwd: string): Promise<boolean> {
  return (
    (await git.in(cwd).overNetwork(['ls-remote', '--heads', '--', source], { grows: cwd })).trim() === ''
  );
}

/** The branch that the remote checks out by default, by asking it; null while it has none. */
export async function askDefault(git: Git, source: string, cwd: string): Promise<string | null> {
  const text = await git.in(cwd).overNetwork(['ls-remote', '--symref', '--', source, 'HEAD'], { grows: cwd });
  return /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(text)?.[1] ?? null;
}

/** Whether a token would be sent to this address, or a key used. */
export function fits(credential: NodeCredential['credential'], repoUrl: string): boolean {
  return credential !== null && (parseGitUrl(repoUrl).protocol === 'ssh') === (credential.kind === 'ssh-key');
}
