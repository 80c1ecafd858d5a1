import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { useGit } from '../test/git/fixture.ts';
import { git, type ServedRepository } from '../test/git/servers.ts';

const made = useGit();
let repository: ServedRepository;
let app: string;

beforeEach(async () => {
  repository = made.servers.create(`m${made.number}`);
  repository.push({ tracked: 'one', '.gitignore': '.env\ncache\nbuild\n' });
  app = join(made.node.base, 'app');
  await made.node.clone(spec());
});

const spec = () => ({ repoUrl: `${made.servers.open.url}/${repository.name}.git` });
const write = (file: string, text: string): void => writeFileSync(join(app, file), text);
const head = (): string => git(app, 'rev-parse', 'HEAD');
const kept = (): string => git(app, 'for-each-ref', '--format=%(refname:short)', 'refs/heads/kept');
const show = (file: string): string => git(app, 'show', `${kept()}:${file}`);
const failure = async (expected: string) =>
  await made.node.reset(spec(), expected).catch((error: unknown) => error);

describe('resetting a clone to its remote', () => {
  it('keeps commits, changed, staged and untracked files, and conflicting ignored ones on a branch', async () => {
    write('tracked', 'committed');
    git(app, 'commit', '--quiet', '--all', '--message', 'mine');
    write('tracked', 'staged');
    git(app, 'add', 'tracked');
    write('tracked', 'changed');
    mkdirSync(join(app, 'notes'));
    write('notes/a [1].txt', 'untracked');
    write('.env', 'SECRET=mine');
    write('cache', 'ignored');
    mkdirSync(join(app, 'build'));
    write('build/out', 'below');
    repository.push({ '.env': 'SECRET=theirs', build: 'a file', new: '1' });
    const before = head();
    const commit = git(repository.folder, 'rev-parse', 'main');
    expect(await made.node.reset(spec(), before)).toMatchObject({
      outcome: 'updated',
      commit,
      branch: 'main',
      drift: { behind: 0, ahead: 0, dirty: 0 },
      detail: expect.stringMatching(
        /the former contents are on branch kept\/\d{8}-\d{6} \(1 commit, 1 changed file, 1 untracked file, 2 ignored files\)/,
      ),
    });
    expect(git(app, 'rev-parse', `${kept()}~`)).toBe(before);
    expect([show('tracked'), show('notes/a [1].txt'), show('.env'), show('build/out')]).toEqual([
      'changed',
      'untracked',
      'SECRET=mine',
      'below',
    ]);
    expect(git(app, 'show', `${kept()}^2:tracked`)).toBe('staged');
    expect(readFileSync(join(app, '.env'), 'utf8')).toBe('SECRET=theirs');
    // This ignored file conflicts with nothing.
    expect(readFileSync(join(app, 'cache'), 'utf8')).toBe('ignored');
    expect(existsSync(join(app, 'notes'))).toBe(false);
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'unchanged' });
  });

  it('keeps commits that the remote took back when it rewrote its history', async () => {
    git(repository.elsewhere, 'commit', '--quiet', '--amend', '--message', 'rewritten');
    git(repository.elsewhere, 'push', '--quiet', '--force', 'origin', 'main');
    const before = head();
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'kept' });
    const commit = git(repository.folder, 'rev-parse', 'main');
    expect(await made.node.reset(spec(), before)).toMatchObject({ outcome: 'updated', commit });
    expect(git(app, 'rev-parse', kept())).toBe(before);
    expect(await made.node.reset(spec(), before)).toMatchObject({ outcome: 'unchanged', commit });
    const next = repository.push({ more: '1' });
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'updated', commit: next });
  });

  it('keeps what its own main had when another branch or none is checked out', async () => {
    git(app, 'commit', '--quiet', '--allow-empty', '--message', 'on main');
    const main = head();
    git(app, 'switch', '--quiet', '--create', 'mine');
    git(app, 'commit', '--quiet', '--allow-empty', '--message', 'on mine');
    const mine = head();
    git(app, 'switch', '--quiet', '--detach');
    git(app, 'commit', '--quiet', '--allow-empty', '--message', 'on nothing');
    const detached = head();
    expect(await made.node.reset(spec(), detached)).toMatchObject({ outcome: 'updated', branch: 'main' });
    expect(git(app, 'rev-parse', 'mine')).toBe(mine);
    expect(
      kept()
        .split('\n')
        .map((ref) => git(app, 'rev-parse', ref))
        .toSorted(),
    ).toEqual([detached, main].toSorted());
  });

  it('creates no branch when nothing existed only in the clone', async () => {
    const commit = repository.push({ new: '1' });
    expect(await made.node.reset(spec(), head())).toMatchObject({
      commit,
      detail: expect.stringContaining('the clone contained nothing else'),
    });
    expect(kept()).toBe('');
  });

  it('leaves another repository inside the clone alone', async () => {
    git(app, 'init', '--quiet', 'nested');
    write('nested/file', 'mine');
    write('tracked', 'mine');
    await made.node.reset(spec(), head());
    expect(readFileSync(join(app, 'nested', 'file'), 'utf8')).toBe('mine');
    expect(show('tracked')).toBe('mine');
    repository.push({ 'nested/file': 'theirs' });
    expect(await failure(head())).toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/A repository of its own lies at nested/),
    });
    expect(readFileSync(join(app, 'nested', 'file'), 'utf8')).toBe('mine');
  });
});

describe('a refused reset of a clone to its remote', () => {
  it('is refused at another commit than the person saw, or during an unfinished operation', async () => {
    const seen = head();
    write('tracked', 'mine');
    git(app, 'commit', '--quiet', '--all', '--message', 'mine');
    const mine = head();
    expect(await failure(seen)).toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/is at [0-9a-f]+ now, no longer at .*Nothing was changed/),
    });
    write('.git/MERGE_HEAD', `${seen}\n`);
    expect(await failure(mine)).toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/a merge is in progress/),
    });
    expect(head()).toBe(mine);
    expect(kept()).toBe('');
  });

  it('is refused while a submodule contains work', async () => {
    const inner = made.servers.create(`inner${made.number}`);
    const url = `${made.servers.open.url}/${inner.name}.git`;
    repository.push({}, { submodules: { inner: { folder: inner.folder, url } } });
    const given = { ...spec(), submodules: true };
    await made.node.clone(given);
    write('inner/README.md', 'mine');
    await expect(made.node.reset(given, head())).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/submodule inner has work in it/),
    });
    expect(readFileSync(join(app, 'inner', 'README.md'), 'utf8')).toBe('mine');
  });
});
