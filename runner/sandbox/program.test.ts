import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { locateProgram, programPaths } from './program.ts';

let home: string;
beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'membridge-program-')));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

/** Creates a file below the home folder. */
function make(path: string, text = '', mode = 0o644): string {
  const file = join(home, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, { mode });
  return file;
}

const paths = (program: string, args: readonly string[] = [], path = ''): string[] =>
  programPaths(program, args, { path, home }).map((each) => each.replace(home, '~'));

describe('paths that a program needs', () => {
  it('include its folder when that is below the home folder', () => {
    make('tools/run', '', 0o755);
    expect(paths(join(home, 'tools', 'run'))).toEqual(['~/tools']);
  });

  it('include only the file when it is directly in the home folder', () => {
    make('run', '', 0o755);
    make('package.json', '{}');
    expect(paths(join(home, 'run'))).toEqual(['~/run']);
  });

  it('include a link’s target, its package, and its interpreter, for an npm program', () => {
    make('node/bin/node', '', 0o755);
    make('npm/lib/node_modules/@some/cli/package.json', '{}');
    const script = make('npm/lib/node_modules/@some/cli/dist/cli.js', '#!/usr/bin/env node\n', 0o755);
    mkdirSync(join(home, 'npm', 'bin'));
    symlinkSync(script, join(home, 'npm', 'bin', 'cli'));
    const path = [join(home, 'npm', 'bin'), join(home, 'node', 'bin')].join(':');
    const found = paths('cli', [], path);
    for (const each of ['~/npm/bin', '~/npm/lib/node_modules', '~/node/bin']) expect(found).toContain(each);
    expect(found).not.toContain('~');
  });

  it('include the folder and the package of a file named in an argument', () => {
    make('app/package.json', '{"type":"module"}');
    make('app/node_modules/x/index.js');
    const script = make('app/src/main.ts');
    const found = paths('sh', [script, '--flag', '/not/there'], '');
    expect(found).toEqual(['~/app/src', '~/app/package.json', '~/app/node_modules']);
  });

  it('include the folders of the PATH, but not the home folder', () => {
    make('own/bin/tool', '', 0o755);
    expect(paths('tool', [], [home, join(home, 'own', 'bin'), '/', 'relative', ''].join(':'))).toEqual([
      '~/own/bin',
    ]);
  });
});

describe('finding a program', () => {
  it('ignores folders and files without execute permission', () => {
    make('a/tool/file');
    make('b/tool', '', 0o644);
    const right = make('c/tool', '', 0o755);
    const path = ['a', 'b', 'c'].map((each) => join(home, each)).join(':');
    expect(locateProgram('tool', path)).toBe(right);
    expect(locateProgram('none', path)).toBeNull();
    expect(locateProgram(right, '')).toBe(right);
  });
});
