import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { useGit } from '../test/git/fixture.ts';
import type { SpecInput } from '../test/git/node.ts';
import { git, type ServedRepository } from '../test/git/servers.ts';
import {
  CHANGES,
  STATES,
  expectedMove,
  tableRows,
  type Change,
  type State,
} from '../test/git/remote-changes.ts';
import type { KeepReason } from './decide-move.ts';

const made = useGit();
let inner: ServedRepository;
let outer: ServedRepository;

beforeEach(() => {
  inner = made.servers.create(`inner${made.number}`);
  outer = made.servers.create(`outer${made.number}`);
  outer.push(
    { 'text.txt': 'one\r\n' },
    { submodules: { inner: { folder: inner.folder, url: address(inner.name) } } },
  );
  outer.push({ x: '1' }, { branch: 'feature' });
  outer.push({ x: '1' });
  push('main:refs/tags/v1');
});

const address = (name: string): string => `${made.servers.open.url}/${name}.git`;
const push = (...args: string[]): string =>
  git(outer.elsewhere, 'push', '--quiet', '--force', 'origin', ...args);

/** Makes the change at the remote. */
const DO: Record<Change, () => void> = {
  'a new commit': () => void outer.push({ new: '1' }),
  'default branch renamed': () => {
    push('main:trunk');
    git(outer.folder, 'symbolic-ref', 'HEAD', 'refs/heads/trunk');
    push(':main');
    outer.push({ new: '1' }, { branch: 'trunk' });
  },
  'project’s branch deleted': () => {
    git(outer.folder, 'symbolic-ref', 'HEAD', 'refs/heads/feature');
    push(':main');
  },
  'default branch gone': () => void git(outer.folder, 'update-ref', '-d', 'refs/heads/main'),
  'history rewritten': () => {
    git(outer.elsewhere, 'commit', '--quiet', '--amend', '--message', 'rewritten');
    push('main');
  },
  'repository made again': () => {
    git(outer.elsewhere, 'checkout', '--quiet', '--orphan', 'again');
    git(outer.elsewhere, 'commit', '--quiet', '--message', 'again');
    push('again:main', ':feature', ':refs/tags/v1');
  },
  '`feature` becomes `feature/one`': () => {
    push(':feature');
    push('feature:feature/one');
    outer.push({ new: '1' });
  },
  'submodule moved': () => {
    const moved = inner.folder.replace('inner', 'moved');
    cpSync(inner.folder, moved, { recursive: true });
    rmSync(inner.folder, { recursive: true });
    git(
      outer.elsewhere,
      'config',
      '--file',
      '.gitmodules',
      'submodule.inner.url',
      address(`moved${made.number}`),
    );
    outer.push({});
  },
  'attributes changed': () => void outer.push({ '.gitattributes': '*.txt text eol=crlf\n' }),
  'tag moved': () => {
    outer.push({ new: '1' });
    push('main:refs/tags/v1');
  },
};

/** Brings a clone into the state. */
const PUT: Record<State, (path: string) => void> = {
  clean: () => undefined,
  'changed files': (path) => writeFileSync(join(path, 'README.md'), 'mine'),
  'own commits': (path) => void git(path, 'commit', '--quiet', '--allow-empty', '--message', 'mine'),
  detached: (path) => void git(path, 'switch', '--quiet', '--detach'),
  'other branch': (path) => void git(path, 'switch', '--quiet', '--create', 'mine'),
  shallow: () => undefined,
  submodules: () => undefined,
};

const WORDS: Record<KeepReason, RegExp> = {
  busy: /in progress/,
  detached: /detached HEAD/,
  'other-branch': /branch mine is checked out/,
  'own-commits': /main has 1 commit of its own/,
  rewritten: /rewrote its history/,
  'made-again': /no commit in common/,
  changed: /1 file differ/,
};

describe('changes of the remote while a node holds a clone', () => {
  const states = Object.keys(STATES) as State[];
  const changes = Object.keys(CHANGES) as Change[];
  const specOf = (state: State, change: Change, name: string): SpecInput => ({
    repoUrl: address(outer.name),
    name,
    ...(change === 'project’s branch deleted' ? { branch: 'main' } : {}),
    ...(state === 'shallow' ? { depth: 1 } : {}),
    ...(state === 'submodules' ? { submodules: true } : {}),
  });

  it.each(changes)('leaves every state of the clone as the table says: %s', async (change) => {
    const specs = new Map(states.map((state, at) => [state, specOf(state, change, `c${at}`)]));
    const pathOf = (state: State): string => join(made.node.base, specs.get(state)?.name ?? '');
    await made.node.clone(specOf('clean', change, 'base'));
    for (const state of states) {
      if (state === 'shallow' || state === 'submodules') await made.node.clone(specs.get(state) ?? never());
      else cpSync(join(made.node.base, 'base'), pathOf(state), { recursive: true });
      PUT[state](pathOf(state));
    }
    const before = new Map(states.map((state) => [state, git(pathOf(state), 'rev-parse', 'HEAD')]));
    DO[change]();
    for (const state of states) {
      const move = expectedMove(change, state);
      const what = `${change}, ${state}`;
      const path = pathOf(state);
      if (move.act === 'missing') {
        expect((await made.node.failure(specs.get(state) ?? never())).code, what).toBe('git_not_found');
      } else {
        const result = await made.node.clone(specs.get(state) ?? never());
        expect(result.outcome, `${what}: ${result.detail}`).toBe(move.act === 'keep' ? 'kept' : 'updated');
        if (move.act === 'keep') expect(result.detail, what).toMatch(WORDS[move.reason]);
        else {
          expect(result.commit, what).toBe(git(outer.folder, 'rev-parse', 'HEAD'));
          expect(result.drift, what).toEqual({ behind: 0, ahead: 0, dirty: 0 });
          expect(await made.node.clone(specs.get(state) ?? never()), what).toMatchObject({
            outcome: 'unchanged',
          });
        }
      }
      if (move.act === 'missing' || move.act === 'keep')
        expect(git(path, 'rev-parse', 'HEAD'), what).toBe(before.get(state));
      if (state === 'changed files') expect(readFileSync(join(path, 'README.md'), 'utf8')).toBe('mine');
      if (state === 'submodules') expect(existsSync(join(path, 'inner', 'README.md')), what).toBe(true);
      expect(git(path, 'cat-file', '-t', before.get(state) ?? ''), what).toBe('commit');
    }
  });

  const never = (): never => {
    throw new Error('there is a spec for every state');
  };
});

it('are decided as the table in docs/projects.md says, cell by cell', () => {
  const text = readFileSync(join(import.meta.dirname, '..', 'docs', 'projects.md'), 'utf8');
  const rows = text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((each) => each.trim()),
    );
  for (const row of tableRows()) expect(rows).toContainEqual(row);
});
