import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { useGit } from '../test/git/fixture.ts';
import { startGitHttpServer } from '../test/git/http-server.ts';
import { git, type ServedRepository } from '../test/git/servers.ts';

const made = useGit();
let inner: ServedRepository;
let outer: ServedRepository;
let app: string;

beforeEach(() => {
  inner = made.servers.create(`inner${made.number}`);
  outer = made.servers.create(`outer${made.number}`);
  outer.push({}, { submodules: { inner: { folder: inner.folder, url: address(inner.name) } } });
  app = join(made.node.base, 'app');
});

const address = (name: string): string => `${made.servers.open.url}/${name}.git`;
const spec = () => ({ repoUrl: address(outer.name), submodules: true });
const innerHead = (): string => git(join(app, 'inner'), 'rev-parse', 'HEAD');
/** Makes the outer repository name the inner one's newest commit. */
function bump(files: Record<string, string> = {}): void {
  git(join(outer.elsewhere, 'inner'), 'pull', '--quiet', inner.folder, 'main');
  outer.push(files);
}

describe('a submodule', () => {
  it('is followed to another address, even if the old one no longer exists', async () => {
    await made.node.clone(spec());
    renameSync(inner.folder, inner.folder.replace('inner', 'moved'));
    const moved = inner.folder.replace('inner', 'moved');
    git(inner.elsewhere, 'remote', 'set-url', 'origin', moved);
    const commit = inner.push({ x: '1' });
    git(join(outer.elsewhere, 'inner'), 'pull', '--quiet', moved, 'main');
    const url = address(inner.name.replace('inner', 'moved'));
    git(outer.elsewhere, 'config', '--file', '.gitmodules', 'submodule.inner.url', url);
    outer.push({});
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'updated', drift: { dirty: 0 } });
    expect(innerHead()).toBe(commit);
    expect(git(join(app, 'inner'), 'config', 'remote.origin.url')).toBe(url);
  });

  it('keeps the address that a person gave it in this clone', async () => {
    await made.node.clone(spec());
    const mirror = address(made.servers.create(`mirror${made.number}`).name);
    git(app, 'config', 'submodule.inner.url', mirror);
    await made.node.clone(spec());
    expect(git(app, 'config', 'submodule.inner.url')).toBe(mirror);
  });

  it('follows later when its commit is pushed later, and stops neither this clone nor a fresh one', async () => {
    await made.node.clone(spec());
    const module = join(outer.elsewhere, 'inner');
    git(module, 'commit', '--quiet', '--allow-empty', '--message', 'not pushed');
    const late = git(module, 'rev-parse', 'HEAD');
    const commit = outer.push({ x: '1' });
    const before = innerHead();
    for (const outcome of ['updated', 'unchanged']) {
      expect(await made.node.clone(spec())).toMatchObject({
        outcome,
        commit,
        detail: expect.stringMatching(/inner: its commit [0-9a-f]{8} is not on its server yet/),
        drift: { dirty: 0 },
      });
      expect(innerHead()).toBe(before);
    }
    expect(await made.node.clone({ ...spec(), name: 'fresh' })).toMatchObject({ outcome: 'cloned' });
    const next = outer.push({ x: '2' });
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'updated', commit: next });
    git(module, 'push', '--quiet', inner.folder, 'HEAD:main');
    for (const name of ['app', 'fresh']) {
      await made.node.clone({ ...spec(), name });
      expect(git(join(made.node.base, name, 'inner'), 'rev-parse', 'HEAD')).toBe(late);
    }
  });

  it('does not hold the clone back when a person fetched it and the project has none', async () => {
    await made.node.clone({ ...spec(), submodules: false });
    git(app, 'config', 'submodule.inner.url', inner.folder);
    git(app, 'submodule', '--quiet', 'update', '--init');
    git(app, 'config', 'submodule.inner.url', address(inner.name));
    for (const x of ['1', '2']) {
      inner.push({ x });
      bump({ x });
      expect(await made.node.clone({ ...spec(), submodules: false })).toMatchObject({
        outcome: 'updated',
        drift: { behind: 0, dirty: 0 },
      });
    }
    writeFileSync(join(app, 'inner', 'README.md'), 'mine');
    bump({ x: '3' });
    expect(await made.node.clone({ ...spec(), submodules: false })).toMatchObject({ outcome: 'kept' });
  });

  it('is left alone when another repository replaced it', async () => {
    await made.node.clone(spec());
    renameSync(join(app, 'inner'), join(made.node.folder, 'other'));
    git(app, 'init', '--quiet', 'inner');
    writeFileSync(join(app, 'inner', 'file'), 'x');
    git(join(app, 'inner'), 'add', 'file');
    git(join(app, 'inner'), 'commit', '--quiet', '--message', 'mine');
    outer.push({ x: '1' });
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'kept' });
  });
});

describe('hosts that are not allowed', () => {
  const elsewhere = (): string => made.servers.open.url.replace('127.0.0.1', 'localhost');

  it('are not contacted for a submodule', async () => {
    const hosts = ['127.0.0.1'];
    expect(await made.node.clone({ ...spec(), hosts, name: 'fine' })).toMatchObject({ outcome: 'cloned' });
    git(
      outer.elsewhere,
      'config',
      '--file',
      '.gitmodules',
      'submodule.inner.url',
      `${elsewhere()}/${inner.name}.git`,
    );
    inner.push({ x: '1' });
    bump();
    for (const name of ['app', 'fine']) {
      expect(await made.node.failure({ ...spec(), hosts, name })).toMatchObject({
        code: 'clone_refused',
        message: expect.stringMatching(
          /submodule .* localhost is not among the hosts of MEMBRIDGE_GIT_HOSTS/,
        ),
      });
    }
    expect(existsSync(app)).toBe(false);
    expect(await made.node.clone({ ...spec(), hosts: ['127.0.0.1', 'localhost'] })).toMatchObject({
      outcome: 'cloned',
    });
  });

  it('are not contacted through a server’s redirect, while allowed ones are', async () => {
    made.servers.open.trouble = {
      kind: 'redirect',
      to: made.servers.closed.url.replace('127.0.0.1', 'localhost'),
    };
    const given = { repoUrl: address(outer.name), hosts: ['127.0.0.1'] };
    const before = made.servers.closed.requests;
    expect(await made.node.failure(given)).toMatchObject({
      code: 'clone_refused',
      message: expect.stringMatching(/sends git to http:\/\/localhost.*MEMBRIDGE_GIT_HOSTS \(127\.0\.0\.1\)/),
    });
    expect(made.servers.closed.requests).toBe(before);
    expect(made.node.files()).toEqual([]);
    const mirror = await startMirror();
    try {
      made.servers.open.trouble = { kind: 'redirect', to: mirror.url };
      expect(await made.node.clone(given)).toMatchObject({ outcome: 'cloned' });
      outer.push({ x: '1' });
      expect(await made.node.clone(given)).toMatchObject({ outcome: 'updated' });
      expect(git(app, 'config', 'remote.origin.url')).toBe(given.repoUrl);
    } finally {
      await mirror.stop();
    }
  });

  it('are not reached by endless redirects, which are reported', async () => {
    made.servers.open.trouble = { kind: 'redirect', to: made.servers.open.url };
    expect(await made.node.failure({ repoUrl: address(outer.name), hosts: ['127.0.0.1'] })).toMatchObject({
      code: 'git_failed',
      message: expect.stringMatching(/redirects git too often/),
    });
    expect(await made.node.failure({ repoUrl: address(outer.name) })).toMatchObject({
      code: 'git_failed',
      message: expect.stringMatching(/redirects/),
    });
    expect(made.node.files()).toEqual([]);
  });

  const startMirror = async () => await startGitHttpServer(join(outer.folder, '..'), null);
});
