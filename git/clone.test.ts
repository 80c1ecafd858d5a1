import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeGitNode, type GitNode } from '../test/git/node.ts';
import { git, startGitServers, type GitServers } from '../test/git/servers.ts';
import type { CloneProgress } from '../contract/projects/projects.ts';
import { listRepositories } from './repositories.ts';

let servers: GitServers;
let node: GitNode;
let number = 0;

/** Returns a repository name that no other test uses. */
const fresh = (): string => `r${(number += 1)}`;
const address = (name: string): string => `${servers.open.url}/${name}.git`;

beforeAll(async () => {
  servers = await startGitServers();
});
afterAll(async () => {
  await servers.stop();
});
beforeEach(() => {
  node = makeGitNode();
});
afterEach(() => {
  servers.open.trouble = { kind: 'none' };
  node.remove();
});

describe('a clone', () => {
  it('appears complete, with figures and progress; the second call has nothing to do', async () => {
    const repository = servers.create(fresh(), { bytes: 3_000_000, commits: 3 });
    const seen: CloneProgress[] = [];
    const spec = { repoUrl: address(repository.name) };
    const result = await node.clone(spec, { progress: (progress) => seen.push(progress) });
    expect(result).toMatchObject({
      outcome: 'cloned',
      branch: 'main',
      path: join(node.base, 'app'),
      drift: { behind: 0, ahead: 0, dirty: 0 },
      commit: git(repository.elsewhere, 'rev-parse', 'HEAD'),
    });
    expect(result.sizeBytes).toBeGreaterThan(6_000_000);
    expect(seen.map(({ phase }) => phase)).toEqual(
      expect.arrayContaining(['counting objects', 'receiving objects']),
    );
    expect(seen.at(-1)?.bytes).toBeGreaterThan(2_900_000);
    expect(await node.clone(spec)).toMatchObject({
      outcome: 'unchanged',
      detail: 'main has all that the remote has',
    });
    expect(node.files()).toEqual(['app', 'app/.git', 'app/README.md', 'app/count', 'app/noise']);
  });

  it('goes to the target path: relative, below ~ or absolute, also into an empty folder', async () => {
    const spec = { repoUrl: address(servers.create(fresh()).name) };
    expect(await node.clone({ ...spec, targetPath: 'team a/app' })).toMatchObject({
      path: join(node.base, 'team a/app'),
    });
    const absolute = join(node.base, 'other', 'app');
    mkdirSync(absolute, { recursive: true });
    expect(await node.clone({ ...spec, targetPath: absolute })).toMatchObject({
      outcome: 'cloned',
      path: absolute,
    });
    expect(await node.clone({ ...spec, name: 'name with spaces' })).toMatchObject({ outcome: 'cloned' });
    const home = process.env['HOME'];
    process.env['HOME'] = node.folder;
    try {
      const path = join(node.base, 'mine');
      expect(await node.clone({ ...spec, targetPath: '~/projects/mine' })).toMatchObject({ path });
      expect(await node.failure({ ...spec, targetPath: '~/elsewhere' })).toMatchObject({
        code: 'clone_refused',
      });
    } finally {
      process.env['HOME'] = home;
    }
    expect((await listRepositories(node.base)).map(({ path }) => path.slice(node.base.length))).toEqual([
      '/mine',
      '/name with spaces',
      '/other/app',
      '/team a/app',
    ]);
  });

  it('is complete for an empty repository, and takes the first commits later on any branch', async () => {
    const repository = servers.create(fresh(), { empty: true });
    const spec = { repoUrl: address(repository.name) };
    const empty = { commit: null, drift: { behind: null, ahead: null, dirty: 0 } };
    expect(await node.clone(spec)).toMatchObject({ outcome: 'cloned', ...empty });
    expect(await node.clone(spec)).toMatchObject({ outcome: 'unchanged', ...empty });
    expect(await node.clone({ ...spec, name: 'named', branch: 'trunk' })).toMatchObject({
      outcome: 'cloned',
      commit: null,
      branch: 'trunk',
    });
    expect(await node.clone({ ...spec, name: 'shallow', depth: 1 })).toMatchObject({
      outcome: 'cloned',
      commit: null,
    });
    const commit = repository.push({ a: '1' }, { branch: 'trunk' });
    git(repository.folder, 'symbolic-ref', 'HEAD', 'refs/heads/trunk');
    for (const more of [{}, { name: 'named', branch: 'trunk' }, { name: 'shallow', depth: 1 }]) {
      expect(await node.clone({ ...spec, ...more })).toMatchObject({
        outcome: 'updated',
        commit,
        branch: 'trunk',
      });
    }
    const next = repository.push({ a: '2' }, { branch: 'trunk' });
    expect(await node.clone(spec)).toMatchObject({ outcome: 'updated', commit: next });
  });

  it('does not overwrite a file that is in the way of an empty repository’s first commit', async () => {
    const repository = servers.create(fresh(), { empty: true });
    const spec = { repoUrl: address(repository.name) };
    await node.clone(spec);
    writeFileSync(join(node.base, 'app', 'a'), 'mine');
    repository.push({ a: 'theirs' });
    expect(await node.clone(spec)).toMatchObject({ outcome: 'kept', detail: expect.stringContaining(' a;') });
    expect(readFileSync(join(node.base, 'app', 'a'), 'utf8')).toBe('mine');
  });

  it('may be shallow, and still moves forward', async () => {
    const repository = servers.create(fresh(), { commits: 5 });
    const spec = { repoUrl: address(repository.name), depth: 1 };
    await node.clone(spec);
    const app = join(node.base, 'app');
    expect(git(app, 'rev-list', '--count', 'HEAD')).toBe('1');
    repository.push({ b: '1' });
    repository.push({ b: '2' });
    expect(await node.fetch(spec)).toMatchObject({
      outcome: 'fetched',
      drift: { behind: 2, ahead: 0, dirty: 0 },
    });
    expect(await node.clone(spec)).toMatchObject({
      outcome: 'updated',
      drift: { behind: 0, ahead: 0, dirty: 0 },
    });
    expect(git(app, 'rev-list', '--count', 'HEAD')).toBe('3');
  });

  it('updates its submodules, and adds new ones', async () => {
    const [inner, second] = [servers.create(fresh()), servers.create(fresh())];
    const outer = servers.create(fresh());
    outer.push({}, { submodules: { inner: { folder: inner.folder, url: address(inner.name) } } });
    const spec = { repoUrl: address(outer.name), submodules: true };
    await node.clone({ ...spec, submodules: false, name: 'without' });
    expect(await node.clone(spec)).toMatchObject({ outcome: 'cloned' });
    const app = join(node.base, 'app');
    expect(git(join(app, 'inner'), 'rev-parse', 'HEAD')).toBe(git(inner.elsewhere, 'rev-parse', 'HEAD'));

    const commit = inner.push({ new: '1' });
    git(join(outer.elsewhere, 'inner'), 'pull', '--quiet', inner.folder, 'main');
    outer.push({}, { submodules: { second: { folder: second.folder, url: address(second.name) } } });
    expect(await node.clone(spec)).toMatchObject({
      outcome: 'updated',
      detail: expect.stringContaining('a submodule was added'),
      drift: { behind: 0, ahead: 0, dirty: 0 },
    });
    expect(git(join(app, 'inner'), 'rev-parse', 'HEAD')).toBe(commit);
    expect(readFileSync(join(app, 'second', 'README.md'), 'utf8')).toBe(`# ${second.name}\n`);
    expect(await node.clone({ ...spec, name: 'without' })).toMatchObject({
      detail: expect.stringContaining('2 submodules'),
    });

    // A commit that exists only in the submodule is a person's work as much as one in the clone.
    git(join(app, 'inner'), 'commit', '--quiet', '--allow-empty', '--message', 'mine');
    const mine = git(join(app, 'inner'), 'rev-parse', 'HEAD');
    inner.push({ new: '2' });
    git(join(outer.elsewhere, 'inner'), 'pull', '--quiet', inner.folder, 'main');
    outer.push({});
    expect(await node.clone(spec)).toMatchObject({ outcome: 'kept' });
    expect(git(join(app, 'inner'), 'rev-parse', 'HEAD')).toBe(mine);
  });

  it('is on the given branch, and reports a missing branch', async () => {
    const repository = servers.create(fresh());
    const commit = repository.push({ b: '1' }, { branch: 'feature/x' });
    const spec = { repoUrl: address(repository.name), branch: 'feature/x' };
    expect(await node.clone(spec)).toMatchObject({ outcome: 'cloned', branch: 'feature/x', commit });
    expect(await node.failure({ ...spec, name: 'b', branch: 'nowhere' })).toMatchObject({
      code: 'git_not_found',
      message: expect.stringMatching(/There is no branch nowhere in http/),
    });
    expect(await node.clone({ ...spec, branch: 'main' })).toMatchObject({
      outcome: 'kept',
      detail: expect.stringContaining("branch feature/x is checked out, the project's is main"),
    });
    expect(node.files()).not.toContain('b');
  });

  it('is made once for two concurrent calls; the second finds it', async () => {
    const spec = { repoUrl: address(servers.create(fresh(), { bytes: 2_000_000 }).name) };
    const phases: string[][] = [[], []];
    const results = await Promise.all(
      phases.map((seen) => node.clone(spec, { progress: ({ phase }) => seen.push(phase) })),
    );
    // Either of them may be the first.
    const second = results.findIndex(({ outcome }) => outcome === 'unchanged');
    expect(results.map(({ outcome }) => outcome).toSorted()).toEqual(['cloned', 'unchanged']);
    expect(phases[second]?.[0]).toBe('waiting for its turn');
  });

  it('can be canceled while it waits for its turn, and the next one keeps waiting', async () => {
    const spec = { repoUrl: address(servers.create(fresh(), { bytes: 2_000_000 }).name) };
    servers.open.trouble = { kind: 'slow', everyMs: 20 };
    const sending = servers.open.sending();
    const first = node.clone(spec);
    await sending;
    const stop = new AbortController();
    const second = node.clone(spec, { signal: stop.signal });
    const third = node.clone(spec);
    stop.abort(new Error('given up'));
    await expect(second).rejects.toThrow('given up');
    servers.open.trouble = { kind: 'none' };
    expect(await first).toMatchObject({ outcome: 'cloned' });
    expect(await third).toMatchObject({ outcome: 'unchanged' });
  });
});

describe('a refused clone', () => {
  const inputs: [
    string,
    { targetPath?: string; name?: string; repoUrl?: string; branch?: string },
    string,
  ][] = [
    ['a newline in the address', { repoUrl: 'http://host/a\nb' }, 'bad_request'],
    ['an option as the address', { repoUrl: '--upload-pack=touch /tmp/x' }, 'bad_request'],
    ['an option as the path of an ssh address', { repoUrl: 'git@host:-oProxyCommand=x' }, 'bad_request'],
    ['an option as the host', { repoUrl: 'ssh://-oProxyCommand=x/path' }, 'bad_request'],
    ['a program as the address', { repoUrl: 'ext::sh -c touch% /tmp/x' }, 'bad_request'],
    ['a folder as the address', { repoUrl: 'file:///etc' }, 'bad_request'],
    ['a password in the address', { repoUrl: 'https://user:pass@host/a' }, 'bad_request'],
    ['a name that leads up', { name: '..' }, 'bad_request'],
    ['a name with a newline', { name: 'a\n' }, 'bad_request'],
    ['a name that is an option', { name: '--bare' }, 'bad_request'],
    ['a name that starts with a space', { name: ' a' }, 'bad_request'],
    ['a name with a slash', { name: 'a/b' }, 'bad_request'],
    ['a branch that is an option', { branch: '--upload-pack=x' }, 'bad_request'],
    ['a target that leads up', { targetPath: 'a/../../b' }, 'bad_request'],
    ['a target outside the base', { targetPath: '/etc/app' }, 'clone_refused'],
    ['a target in git’s own folder', { targetPath: 'a/.git/hooks' }, 'clone_refused'],
    [
      'a target that is named like half a clone',
      { targetPath: '.a.membridge-0123456789ab.partial' },
      'clone_refused',
    ],
  ];
  it.each(inputs)('is refused because of %s', async (_what, input, code) => {
    const error = await node.failure({ repoUrl: 'http://127.0.0.1:1/a', ...input });
    expect(error.code).toBe(code);
    expect(node.files()).toEqual([]);
  });

  it('is refused for the folder of repositories itself, and for a folder whose name only begins like it', async () => {
    const repoUrl = 'http://127.0.0.1:1/a';
    mkdirSync(join(node.folder, 'projects-evil'));
    for (const targetPath of [
      node.base,
      `${node.base}/`,
      join(node.folder, 'projects-evil', 'app'),
      `${node.base}-evil`,
    ]) {
      expect(await node.failure({ repoUrl, targetPath })).toMatchObject({ code: 'clone_refused' });
    }
  });

  it('is refused for links that lead out, in the middle, at the end or to nowhere', async () => {
    const repoUrl = 'http://127.0.0.1:1/a';
    const outside = join(node.folder, 'outside');
    mkdirSync(outside);
    symlinkSync(outside, join(node.base, 'out'));
    symlinkSync(join(node.folder, 'nowhere'), join(node.base, 'dangling'));
    writeFileSync(join(node.base, 'file'), '');
    for (const targetPath of ['out', 'out/app', 'out/deep/app', 'dangling', 'dangling/app', 'file/app']) {
      expect(await node.failure({ repoUrl, targetPath }), targetPath).toMatchObject({
        code: 'clone_refused',
      });
    }
  });

  it('is refused for a target with other contents, which stay unchanged', async () => {
    const repoUrl = address(servers.create(fresh()).name);
    mkdirSync(join(node.base, 'app'));
    writeFileSync(join(node.base, 'app', 'novel.txt'), 'chapter one');
    writeFileSync(join(node.base, 'file'), 'x');
    expect(await node.failure({ repoUrl })).toMatchObject({
      code: 'clone_refused',
      message: expect.stringContaining(join(node.base, 'app')),
    });
    expect(await node.failure({ repoUrl, name: 'file' })).toMatchObject({ code: 'clone_refused' });
    mkdirSync(join(node.base, 'damaged', '.git'), { recursive: true });
    expect(await node.failure({ repoUrl, name: 'damaged' })).toMatchObject({
      code: 'clone_refused',
      message: expect.stringMatching(/is damaged/),
    });
    expect(node.files()).toEqual(['app', 'app/novel.txt', 'damaged', 'damaged/.git', 'file']);
  });

  it('is refused over a clone of another repository, with both addresses and no secret', async () => {
    const [one, other] = [servers.create(fresh()), servers.create(fresh())];
    await node.clone({ repoUrl: address(one.name) });
    const app = join(node.base, 'app');
    git(app, 'remote', 'set-url', 'origin', address(one.name).replace('://', '://me:hidden-token@'));
    const error = await node.failure({ repoUrl: address(other.name) });
    expect(error).toMatchObject({ code: 'clone_refused' });
    expect(error.message).toContain(address(one.name));
    expect(error.message).toContain(address(other.name));
    expect(error.message).not.toContain('hidden');
    // The same repository is recognized although its address contains a token.
    expect(await node.clone({ repoUrl: address(one.name) })).toMatchObject({ outcome: 'unchanged' });
    expect(node.told.join('\n')).not.toMatch(/hidden/);
  });

  it('is refused when it is to be inspected but does not exist', async () => {
    await expect(node.fetch({ repoUrl: 'http://127.0.0.1:1/a' })).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(node.files()).toEqual([]);
  });
});
