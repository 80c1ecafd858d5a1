/** Real git servers for tests: over HTTP (public, with a login, with troubles) and over ssh, on one folder of repositories. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startGitHttpServer, type GitHttpServer } from './http-server.ts';

export { startGitSshServer, type GitSshServer } from './ssh-server.ts';
export type { GitHttpServer } from './http-server.ts';

/** The login of the private server, in a form that a test can search for in places that must not hold it. */
export const TOKEN = 'tok3n-that-must-not-be-seen';
export const LOGIN = `git:${TOKEN}`;

/** Runs git as a person would, on a branch named main. @returns what it printed, trimmed */
export function git(cwd: string, ...args: string[]): string {
  const settings = ['user.name=Test', 'user.email=test@example.test', 'init.defaultBranch=main'];
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
  return execFileSync(
    'git',
    [...[...settings, 'protocol.file.allow=always'].flatMap((each) => ['-c', each]), ...args],
    { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000 },
  ).trim();
}

/** A bare repository on the servers, and a person who pushes to it. */
export interface ServedRepository {
  readonly name: string;
  /** Its folder, with which its ssh address ends. */
  readonly folder: string;
  /** Another person's clone, for changes from outside. */
  readonly elsewhere: string;
  /** Commits files, and submodules by their paths, and pushes them. @returns the commit */
  push(files: Readonly<Record<string, string | Buffer>>, options?: PushOptions): string;
}

export interface PushOptions {
  branch?: string;
  /** The folder of each on this machine, and the address for others. */
  submodules?: Readonly<Record<string, { folder: string; url: string }>>;
}

export interface GitServers {
  readonly open: GitHttpServer;
  /** Requires LOGIN. */
  readonly closed: GitHttpServer;
  /** Makes a repository, with `bytes` of noise in its first commit, or empty. */
  create(name: string, options?: { bytes?: number; empty?: boolean; commits?: number }): ServedRepository;
  stop(): Promise<void>;
}

/** Starts the servers. */
export async function startGitServers(): Promise<GitServers> {
  const root = mkdtempSync(join(tmpdir(), 'membridge-git-'));
  const served = join(root, 'served');
  mkdirSync(served);
  const open = await startGitHttpServer(served, null);
  const closed = await startGitHttpServer(served, LOGIN);
  return {
    open,
    closed,
    create: (name, { bytes = 1_000, empty = false, commits = 1 } = {}) => {
      const repository = createRepository(root, name);
      if (empty) return repository;
      repository.push({ 'README.md': `# ${name}\n`, noise: randomBytes(bytes) });
      for (let each = 2; each <= commits; each += 1) repository.push({ count: String(each) });
      return repository;
    },
    stop: async () => {
      await Promise.all([open.stop(), closed.stop()]);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function createRepository(root: string, name: string): ServedRepository {
  const folder = join(root, 'served', `${name}.git`);
  const elsewhere = join(root, 'elsewhere', name);
  mkdirSync(folder, { recursive: true });
  mkdirSync(elsewhere, { recursive: true });
  git(folder, 'init', '--bare', '--quiet');
  git(elsewhere, 'init', '--quiet');
  git(elsewhere, 'remote', 'add', 'origin', folder);
  const push = (
    files: Readonly<Record<string, string | Buffer>>,
    { branch = 'main', submodules = {} }: PushOptions = {},
  ): string => {
    const known = git(elsewhere, 'branch', '--list', branch) !== '';
    if (known) git(elsewhere, 'switch', '--quiet', branch);
    else if (git(elsewhere, 'branch') !== '') git(elsewhere, 'switch', '--quiet', '--create', branch);
    for (const [file, content] of Object.entries(files)) {
      mkdirSync(dirname(join(elsewhere, file)), { recursive: true });
      writeFileSync(join(elsewhere, file), content);
    }
    for (const [path, { folder: from, url }] of Object.entries(submodules)) {
      // Not over the network: the servers run in this process, which waits for git.
      git(elsewhere, 'submodule', 'add', '--quiet', from, path);
      git(elsewhere, 'config', '--file', '.gitmodules', `submodule.${path}.url`, url);
    }
    git(elsewhere, 'add', '--all', '--force');
    git(
      elsewhere,
      'commit',
      '--quiet',
      '--allow-empty',
      '--message',
      `Change ${Object.keys(files).join(', ')}`,
    );
    git(elsewhere, 'push', '--quiet', 'origin', `HEAD:${branch}`);
    return git(elsewhere, 'rev-parse', 'HEAD');
  };
  return { name, folder, elsewhere, push };
}
