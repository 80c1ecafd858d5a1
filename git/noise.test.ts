import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { useGit } from '../test/git/fixture.ts';
import { git, type ServedRepository } from '../test/git/servers.ts';

const made = useGit();
let repository: ServedRepository;
let app: string;

beforeEach(() => {
  repository = made.servers.create(`n${made.number}`);
  app = join(made.node.base, 'app');
});

const spec = (): { repoUrl: string } => ({ repoUrl: `${made.servers.open.url}/${repository.name}.git` });
const dirty = (): string =>
  execFileSync('git', ['status', '--porcelain'], { cwd: app, encoding: 'utf8' }).trimEnd();

describe('a fresh clone that git reports as dirty', () => {
  /** Pushes files with CRLF in the repository itself, and attributes added later. */
  function pushCrlf(): void {
    repository.push({ 'a.txt': 'one\r\n', 'b.txt': 'one\r\n' });
    repository.push({ '.gitattributes': '*.txt text eol=crlf\n' });
    // Whether `git add` normalizes files without reading them again depends on their times.
    const hash = ['hash-object', '-w', '--stdin', '--no-filters'];
    const of = { cwd: repository.elsewhere, input: 'one\r\n', encoding: 'utf8' } as const;
    const blob = execFileSync('git', hash, of).trim();
    for (const file of ['a.txt', 'b.txt'])
      git(repository.elsewhere, 'update-index', '--cacheinfo', `100644,${blob},${file}`);
    git(repository.elsewhere, 'commit', '--quiet', '--allow-empty', '--message', 'CRLF');
    git(repository.elsewhere, 'push', '--quiet', 'origin', 'main');
  }

  it('moves forward despite line endings, and keeps real changes', async () => {
    pushCrlf();
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'cloned', drift: { dirty: 0 } });
    writeFileSync(join(app, 'a.txt'), readFileSync(join(app, 'a.txt')));
    expect(dirty()).toContain(' M a.txt');
    const elsewhere = (file: string, text: string): string => {
      writeFileSync(join(repository.elsewhere, file), text);
      return repository.push({});
    };
    const commit = elsewhere('a.txt', 'two\n');
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'updated', commit, drift: { dirty: 0 } });
    expect(readFileSync(join(app, 'a.txt'), 'utf8')).toBe('two\r\n');
    expect(readFileSync(join(app, 'b.txt'), 'utf8')).toBe('one\r\n');
    writeFileSync(join(app, 'b.txt'), 'mine\r\n');
    elsewhere('b.txt', 'theirs\n');
    expect(await made.node.clone(spec())).toMatchObject({
      outcome: 'kept',
      detail: expect.stringContaining('1 file differ'),
      drift: { dirty: 1 },
    });
    expect(readFileSync(join(app, 'b.txt'), 'utf8')).toBe('mine\r\n');
  });

  it('moves forward despite two names that are equal without letter case', async () => {
    repository.push({ 'Notes.md': 'upper\n', 'notes.md': 'lower\n' });
    await made.node.clone(spec());
    // A case-insensitive disk shows one file under both names.
    writeFileSync(join(app, 'Notes.md'), 'lower\n');
    const commit = repository.push({ other: '1' });
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'updated', commit, drift: { dirty: 0 } });
    writeFileSync(join(app, 'Notes.md'), 'mine\n');
    repository.push({ other: '2' });
    expect(await made.node.clone(spec())).toMatchObject({ outcome: 'kept', drift: { dirty: 1 } });
  });

  it('is refused when git-lfs is missing, with what to install', async () => {
    repository.push({ '.gitattributes': '*.bin filter=lfs -text\n', 'x.bin': 'version 1\n' });
    const settings = join(made.node.folder, 'gitconfig');
    const lfs = '\tprocess = git-lfs-that-is-missing filter-process\n\trequired = true\n';
    writeFileSync(settings, `[filter "lfs"]\n\tsmudge = git-lfs-that-is-missing smudge -- %f\n${lfs}`);
    const before = process.env['GIT_CONFIG_GLOBAL'];
    process.env['GIT_CONFIG_GLOBAL'] = settings;
    try {
      expect(await made.node.failure(spec())).toMatchObject({
        code: 'git_missing',
        message: expect.stringMatching(/Git LFS/),
      });
      expect(made.node.files()).toEqual([]);
    } finally {
      if (before === undefined) delete process.env['GIT_CONFIG_GLOBAL'];
      else process.env['GIT_CONFIG_GLOBAL'] = before;
    }
  });
});

describe('a remote with a rewritten history', () => {
  const rewrite = (): void => {
    git(repository.elsewhere, 'commit', '--quiet', '--amend', '--message', 'rewritten');
    git(repository.elsewhere, 'push', '--quiet', '--force', 'origin', 'main');
  };

  it('does not count as local work, even at the second check and after two rewrites', async () => {
    await made.node.clone(spec());
    repository.push({ x: '1' });
    await made.node.clone(spec());
    for (let times = 0; times < 2; times += 1) {
      rewrite();
      for (let looks = 0; looks < 2; looks += 1) {
        expect(await made.node.clone(spec())).toMatchObject({
          outcome: 'kept',
          detail: expect.stringMatching(
            /the remote rewrote its history: 1 commit of main is no longer in it, none made here; it lacks 1 commit/,
          ),
        });
      }
    }
    git(app, 'commit', '--quiet', '--allow-empty', '--message', 'mine');
    expect(await made.node.clone(spec())).toMatchObject({
      outcome: 'kept',
      detail: expect.stringMatching(
        /main has 1 commit of its own, besides 1 that the remote took back, and lacks 1/,
      ),
    });
  });

  it('is not reported as up to date when it took a commit back', async () => {
    repository.push({ x: '1' });
    await made.node.clone(spec());
    git(repository.elsewhere, 'reset', '--quiet', '--hard', 'HEAD~');
    git(repository.elsewhere, 'push', '--quiet', '--force', 'origin', 'main');
    expect(await made.node.clone(spec())).toMatchObject({
      outcome: 'kept',
      detail: expect.stringMatching(/1 commit of main is no longer in it, none made here$/),
    });
  });

  it('is reported as having no common commit when it started over', async () => {
    await made.node.clone(spec());
    git(repository.elsewhere, 'checkout', '--quiet', '--orphan', 'again');
    git(repository.elsewhere, 'commit', '--quiet', '--message', 'again');
    git(repository.elsewhere, 'push', '--quiet', '--force', 'origin', 'again:main');
    expect(await made.node.clone(spec())).toMatchObject({
      outcome: 'kept',
      detail: expect.stringContaining('it has no commit in common with main'),
    });
  });
});
