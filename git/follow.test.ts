import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { useGit } from '../test/git/fixture.ts';
import { git, startGitSshServer, type GitSshServer, type ServedRepository } from '../test/git/servers.ts';

const made = useGit();
let ssh: GitSshServer;
let repository: ServedRepository;
let app: string;

beforeAll(async () => {
  ssh = await startGitSshServer();
});
afterAll(async () => {
  await ssh.stop();
});
beforeEach(() => {
  repository = made.servers.create(`f${made.number}`);
  app = join(made.node.base, 'app');
});

const spec = (): { repoUrl: string } => ({ repoUrl: `${made.servers.open.url}/${repository.name}.git` });
const access = () => ({
  credential: {
    credential: { kind: 'ssh-key' as const, private_key: ssh.goodKey },
    known_hosts: ssh.knownHosts,
  },
});
const push = (...args: string[]): string => git(repository.elsewhere, 'push', '--quiet', 'origin', ...args);
/** Renames the default branch, as a forge does. */
function rename(from: string, to: string): string {
  push(`refs/heads/${from}:refs/heads/${to}`);
  git(repository.folder, 'symbolic-ref', 'HEAD', `refs/heads/${to}`);
  push('--delete', from);
  return repository.push({ after: to }, { branch: to });
}

describe('the remote’s default branch', () => {
  it.each(['http', 'ssh'] as const)('is followed over %s when it was renamed', async (protocol) => {
    const [given, more] =
      protocol === 'http' ? [spec(), {}] : [{ repoUrl: `${ssh.url}${repository.folder}` }, access()];
    await made.node.clone(given, more);
    writeFileSync(join(app, 'notes'), 'mine');
    const before = git(app, 'rev-parse', 'main');
    const commit = rename('main', 'trunk');
    expect(await made.node.clone(given, more)).toMatchObject({
      outcome: 'updated',
      commit,
      branch: 'trunk',
      detail: expect.stringContaining("the remote's default branch is trunk now, no longer main"),
      drift: { behind: 0, ahead: 0, dirty: 1 },
    });
    expect(git(app, 'rev-parse', 'main')).toBe(before);
    const next = repository.push({ more: '1' }, { branch: 'trunk' });
    expect(await made.node.clone(given, more)).toMatchObject({ outcome: 'updated', commit: next });
    expect(await made.node.clone(given, more)).toMatchObject({ outcome: 'unchanged', branch: 'trunk' });
  });

  it('is followed in a clone of one branch', async () => {
    await made.node.clone({ ...spec(), depth: 1 });
    rename('main', 'trunk');
    expect(await made.node.clone({ ...spec(), depth: 1 })).toMatchObject({
      outcome: 'updated',
      branch: 'trunk',
    });
    const commit = repository.push({ more: '1' }, { branch: 'trunk' });
    expect(await made.node.clone({ ...spec(), depth: 1 })).toMatchObject({ outcome: 'updated', commit });
    expect(git(app, 'config', '--get-all', 'remote.origin.fetch')).toBe(
      '+refs/heads/trunk:refs/remotes/origin/trunk',
    );
  });

  it('is followed when HEAD moves to an existing branch, even at the same commit', async () => {
    push('main:develop');
    await made.node.clone(spec());
    git(repository.folder, 'symbolic-ref', 'HEAD', 'refs/heads/develop');
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'updated', branch: 'develop' });
    git(repository.folder, 'symbolic-ref', 'HEAD', 'refs/heads/main');
    const commit = repository.push({ more: '1' });
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'updated', branch: 'main', commit });
  });

  it('is not followed over local work, but is once that is gone', async () => {
    await made.node.clone(spec());
    rename('main', 'trunk');
    writeFileSync(join(app, 'README.md'), 'mine');
    for (let attempt = 0; attempt < 2; attempt += 1) {
      expect(await made.node.clone(spec())).toMatchObject({
        outcome: 'kept',
        branch: 'main',
        detail: expect.stringMatching(/default branch is trunk now, no longer main, and 1 file differ/),
      });
    }
    git(app, 'checkout', '--', 'README.md');
    expect(await made.node.fetch(spec())).toMatchObject({ outcome: 'fetched', branch: 'main' });
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'updated', branch: 'trunk' });
  });

  it('is not followed by a clone that a person put on another branch', async () => {
    await made.node.clone(spec());
    git(app, 'switch', '--quiet', '--create', 'mine');
    rename('main', 'trunk');
    expect(await made.node.clone(spec())).toMatchObject({
      outcome: 'kept',
      branch: 'mine',
      detail: expect.stringContaining("branch mine is checked out, the project's is trunk"),
    });
  });

  it('is not followed over an ignored file that is in the way', async () => {
    await made.node.clone(spec());
    writeFileSync(join(app, '.git', 'info', 'exclude'), '.env\n');
    writeFileSync(join(app, '.env'), 'SECRET=mine');
    rename('main', 'trunk');
    repository.push({ '.env': 'SECRET=theirs' }, { branch: 'trunk' });
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'kept', branch: 'main' });
    expect(readFileSync(join(app, '.env'), 'utf8')).toBe('SECRET=mine');
  });

  it.each([{}, { depth: 1 }])('is reported with git_not_found when it no longer exists: %j', async (more) => {
    push('main:other');
    await made.node.clone({ ...spec(), ...more });
    git(repository.folder, 'update-ref', '-d', 'refs/heads/main');
    expect(await made.node.failure({ ...spec(), ...more })).toMatchObject({
      code: 'git_not_found',
      message: expect.stringContaining('There is no branch main'),
    });
  });
});

describe('a branch named by the project', () => {
  it.each([{}, { depth: 1 }])('is reported with git_not_found once it was deleted: %j', async (more) => {
    repository.push({ x: '1' }, { branch: 'release' });
    const given = { ...spec(), ...more, branch: 'release' };
    await made.node.clone(given);
    push('--delete', 'release');
    expect(await made.node.failure(given)).toMatchObject({ code: 'git_not_found' });
    await expect(made.node.fetch(given)).rejects.toMatchObject({ code: 'git_not_found' });
    const commit = repository.push({ x: '2' }, { branch: 'release' });
    expect(await made.node.clone(given)).toMatchObject({ outcome: 'updated', commit });
  });
});

describe('conflicting names', () => {
  it('are accepted when a branch becomes a folder of branches, and back', async () => {
    repository.push({ x: '1' }, { branch: 'feature' });
    await made.node.clone(spec());
    push('feature:refs/heads/keep', ':feature');
    push('feature:refs/heads/feature/one');
    const commit = repository.push({ y: '1' });
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'updated', commit });
    expect(git(app, 'rev-parse', 'origin/feature/one')).toBe(git(app, 'rev-parse', 'origin/keep'));
    push('--delete', 'feature/one');
    push('feature:refs/heads/feature');
    expect(await made.node.fetch(spec())).toMatchObject({ outcome: 'fetched' });
    expect(git(app, 'for-each-ref', '--format=%(refname)', 'refs/remotes/origin/feature')).toBe(
      'refs/remotes/origin/feature',
    );
  });

  it('do not stop an update when they are tags', async () => {
    push('main:refs/tags/v1');
    await made.node.clone(spec());
    push('--delete', 'v1');
    const commit = repository.push({ y: '1' });
    push(`${commit}:refs/tags/v1/final`);
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'updated', commit });
    expect(git(app, 'tag')).toBe('v1');
  });
});

describe('another git in the same clone', () => {
  const lock = (): string => join(app, '.git', 'refs', 'remotes', 'origin', 'main.lock');

  it('is waited for while it holds a lock for two seconds', async () => {
    await made.node.clone(spec());
    const commit = repository.push({ x: '1' });
    mkdirSync(join(lock(), '..'), { recursive: true });
    writeFileSync(lock(), '');
    setTimeout(() => rmSync(lock(), { force: true }), 2_000);
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'updated', commit });
  });

  it('is reported with git_busy, which is retried, when it keeps the lock', async () => {
    await made.node.clone(spec());
    const commit = repository.push({ x: '1' });
    mkdirSync(join(lock(), '..'), { recursive: true });
    writeFileSync(lock(), '');
    expect(await made.node.failure(spec())).toMatchObject({
      code: 'git_busy',
      retryable: true,
      message: expect.stringMatching(/Another git .*main\.lock/),
    });
    rmSync(lock());
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'updated', commit });
  });
});

describe('recognizing a clone of the project', () => {
  /** Runs with settings of the machine's user, in a separate file. */
  async function withUserSettings<T>(lines: string, work: () => Promise<T>): Promise<T> {
    const file = join(made.node.folder, 'gitconfig');
    writeFileSync(file, lines);
    const before = process.env['GIT_CONFIG_GLOBAL'];
    process.env['GIT_CONFIG_GLOBAL'] = file;
    try {
      return await work();
    } finally {
      if (before === undefined) delete process.env['GIT_CONFIG_GLOBAL'];
      else process.env['GIT_CONFIG_GLOBAL'] = before;
    }
  }

  it('works when the user’s settings rewrite its address', async () => {
    const repoUrl = `https://git.example.test/${repository.name}.git`;
    const settings = `[url "${made.servers.open.url}/"]\n\tinsteadOf = https://git.example.test/\n`;
    await withUserSettings(settings, async () => {
      expect(await made.node.clone({ repoUrl })).toMatchObject({ outcome: 'cloned' });
      const commit = repository.push({ x: '1' });
      expect(await made.node.clone({ repoUrl })).toMatchObject({ outcome: 'updated', commit });
      // The clone was made with the rewritten address, or with a shorthand of the user.
      expect(await made.node.clone(spec())).toMatchObject({ outcome: 'unchanged' });
    });
    const shorthand = `[url "${made.servers.open.url}/"]\n\tinsteadOf = forge:\n`;
    git(app, 'config', 'remote.origin.url', `forge:${repository.name}`);
    await withUserSettings(shorthand, async () => {
      expect(await made.node.clone(spec())).toMatchObject({ outcome: 'unchanged' });
    });
  });

  it('works when one address states the SSH port, and letters differ in case', async () => {
    await made.node.clone(spec());
    const user = ssh.url.replace(/:\d+$/, '');
    for (const [origin, repoUrl] of [
      ['ssh://git@Git.Example.test:22/Owner/App.git', 'git@git.example.test:owner/app'],
      ['git.example.test:owner/app', 'ssh://git.example.test:22/owner/app.git'],
      [`${user}:22/srv/app`, `${user}/srv/app/`],
    ] as const) {
      git(app, 'config', 'remote.origin.url', origin);
      // The clone is recognized, so the server is asked, which does not exist.
      const error = await made.node.failure({ repoUrl }, { timeoutMs: 20_000 });
      expect(error.code, origin).not.toBe('clone_refused');
    }
  });
});
