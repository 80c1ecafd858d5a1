import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { useGit } from '../test/git/fixture.ts';
import { git, type ServedRepository } from '../test/git/servers.ts';

const made = useGit();
let repository: ServedRepository;
let app: string;

beforeEach(async () => {
  repository = made.servers.create(`r${made.number}`);
  repository.push({ tracked: 'one', '.gitignore': '.env\n' });
  app = join(made.node.base, 'app');
  await made.node.clone(spec());
});

const spec = (): { repoUrl: string } => ({ repoUrl: `${made.servers.open.url}/${repository.name}.git` });
const write = (file: string, text: string): void => writeFileSync(join(app, file), text);
const commit = (message: string): string => {
  git(app, 'add', '--all');
  git(app, 'commit', '--quiet', '--allow-empty', '--message', message);
  return git(app, 'rev-parse', 'HEAD');
};
/** Returns everything in a clone: what each ref and the index contain, and every file. */
const everything = (): string[] => [
  git(app, 'for-each-ref', '--format=%(refname) %(objectname)', 'refs/heads', 'refs/tags', 'refs/stash'),
  readFileSync(join(app, '.git', 'HEAD'), 'utf8'),
  git(app, 'ls-files', '--stage'),
  ...git(app, '-c', 'core.quotePath=false', 'ls-files', '--others')
    .split('\n')
    .map((file) => `${file}: ${file === '' ? '' : readFileSync(join(app, file), 'utf8')}`),
  ...['tracked', 'README.md'].map((file) => readFileSync(join(app, file), 'utf8')),
];

/** A person's work in the clone, the news at the remote, and the expected message. */
const CASES: [string, () => void, Record<string, string>, RegExp][] = [
  ['a changed file', () => write('tracked', 'mine'), { new: '1' }, /1 file differ.*; it lacks 1 commit/],
  [
    'a staged file',
    () => {
      write('staged', 'mine');
      git(app, 'add', 'staged');
    },
    { new: '1' },
    /1 file differ/,
  ],
  ['a deleted file', () => rmSync(join(app, 'noise')), { new: '1' }, /1 file differ/],
  [
    'a commit of its own, and the remote has one, too',
    () => void commit('mine'),
    { new: '1' },
    /main has 1 commit of its own and lacks 1 of the remote's/,
  ],
  [
    'no branch checked out, with a commit',
    () => {
      git(app, 'switch', '--quiet', '--detach');
      commit('mine');
    },
    { new: '1' },
    /detached HEAD/,
  ],
  [
    'another branch',
    () => {
      git(app, 'switch', '--quiet', '--create', 'mine');
      commit('mine');
    },
    { new: '1' },
    /branch mine is checked out, the project's is main/,
  ],
  [
    'an untracked file in the way',
    () => write('new', 'mine'),
    { new: 'theirs' },
    /the update would overwrite new; it lacks 1 commit/,
  ],
  [
    'an ignored file in the way',
    () => write('.env', 'SECRET=mine'),
    { '.env': 'SECRET=theirs' },
    /would overwrite \.env/,
  ],
  [
    'an untracked file where a folder comes',
    () => write('folder', 'mine'),
    { 'folder/file': 'theirs' },
    /would overwrite folder/,
  ],
  [
    'an untracked folder where a file comes',
    () => {
      mkdirSync(join(app, 'thing'));
      write('thing/mine', 'mine');
    },
    { thing: 'theirs' },
    /thing/,
  ],
  [
    'a rebase in progress',
    () => {
      write('tracked', 'mine');
      commit('mine');
      git(app, 'branch', 'base', 'HEAD~');
      git(app, 'switch', '--quiet', 'base');
      write('tracked', 'other');
      commit('other');
      git(app, 'switch', '--quiet', 'main');
      try {
        git(app, 'rebase', 'base');
      } catch {
        // The rebase stops at the conflict, as it should.
      }
    },
    { new: '1' },
    /a rebase is in progress/,
  ],
  ['a lock of its index', () => write('.git/index.lock', ''), { new: '1' }, /another git works in it/],
];

describe('an update of a clone with local work', () => {
  it.each(CASES)('keeps %s', async (_what, change, theirs, why) => {
    change();
    repository.push(theirs);
    const before = everything();
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const result = await made.node.clone(spec());
      expect(result.outcome).toBe('kept');
      expect(result.detail).toMatch(why);
      expect(everything()).toEqual(before);
    }
  });

  it('keeps other untracked files, and stashes, while the clone moves forward', async () => {
    write('tracked', 'stashed');
    git(app, 'stash', '--quiet');
    write('notes', 'mine');
    write('.env', 'SECRET=mine');
    const commit = repository.push({ tracked: 'two' });
    const result = await made.node.clone(spec());
    expect(result).toMatchObject({
      outcome: 'updated',
      commit,
      detail: 'main moved forward by 1 commit',
      drift: { behind: 0, ahead: 0, dirty: 1 },
    });
    expect(readFileSync(join(app, 'notes'), 'utf8')).toBe('mine');
    expect(readFileSync(join(app, '.env'), 'utf8')).toBe('SECRET=mine');
    expect(git(app, 'stash', 'show', '-p')).toContain('+stashed');
  });

  it('keeps the clone’s own commits while the remote has nothing new', async () => {
    const mine = commit('mine');
    expect(await made.node.clone(spec())).toMatchObject({
      outcome: 'unchanged',
      commit: mine,
      detail: 'main has all that the remote has, and 1 commit of its own',
      drift: { behind: 0, ahead: 1 },
    });
  });

  it('keeps local branches, even in a clone that is set up to mirror the remote', async () => {
    git(app, 'branch', 'side');
    repository.push({ x: '1' }, { branch: 'side' });
    git(app, 'config', 'remote.origin.fetch', '+refs/heads/*:refs/heads/*');
    const side = git(app, 'rev-parse', 'side');
    await made.node.clone(spec());
    expect(git(app, 'rev-parse', 'refs/heads/side')).toBe(side);
  });

  it('keeps a history that the remote has rewritten', async () => {
    const mine = git(app, 'rev-parse', 'HEAD');
    git(repository.elsewhere, 'commit', '--quiet', '--amend', '--message', 'rewritten');
    git(repository.elsewhere, 'push', '--quiet', '--force', 'origin', 'main');
    expect(await made.node.clone(spec())).toMatchObject({
      outcome: 'kept',
      commit: mine,
      drift: { behind: 1, ahead: 1 },
    });
  });

  it('keeps everything when it only asks the remote', async () => {
    repository.push({ new: '1' });
    const before = everything();
    expect(await made.node.fetch(spec())).toMatchObject({
      outcome: 'fetched',
      drift: { behind: 1, ahead: 0, dirty: 0 },
    });
    expect(everything()).toEqual(before);
  });

  it('runs no program of the repository or its settings', async () => {
    const hook = join(app, '.git', 'hooks', 'post-merge');
    writeFileSync(hook, `#!/bin/sh\ntouch ${join(made.node.folder, 'ran')}\n`, { mode: 0o755 });
    git(app, 'config', 'core.fsmonitor', `touch ${join(made.node.folder, 'ran')}; false`);
    repository.push({ new: '1' });
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'updated' });
    expect(() => readFileSync(join(made.node.folder, 'ran'))).toThrow();
  });
});
