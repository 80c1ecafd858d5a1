import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { tellingLine } from './failures.ts';
import type { Git } from './git.ts';
import { readState } from './state.ts';

/**
 * Brings the submodules that are there to what the clone's new commit says; what that takes was fetched before. Not broken
 * off: a submodule that was left behind could not be told from one that somebody works in.
 * @returns what to add to the detail
 */
export async function followSubmodules(git: Git, path: string): Promise<string> {
  const entries = (await git.ask('ls-files', '--stage', '-z')).split('\0');
  // `160000 hash stage`, a tab and the path: a submodule.
  const paths = entries.flatMap((entry) => /^160000 [^\t]*\t(.+)$/s.exec(entry)?.[1] ?? []);
  const left: string[] = [];
  for (const each of paths.filter((name) => existsSync(join(path, name, '.git')))) {
    const update = ['submodule', 'update', '--checkout', '--recursive', '--no-fetch', '--quiet', '--', each];
    const answer = await git.unbroken(...update);
    if (answer.code !== 0) left.push(`${each}: ${tellingLine(answer.stderr)}`);
  }
  return left.length === 0 ? '' : `; not yet every submodule (${left.join('; ')})`;
}

/**
 * Fetches submodules that the clone has not got yet, unless anything in it has changed.
 * @returns what to add to the detail
 */
export async function addSubmodules(git: Git, path: string): Promise<string> {
  const lines = (await git.ask('submodule', 'status', '--recursive')).split('\n');
  const missing = lines.filter((line) => line.startsWith('-')).length;
  if (missing === 0) return '';
  if ((await readState(git)).changed > 0) return '; new submodules were not fetched while files differ';
  await git.overNetwork(['submodule', 'update', '--init', '--recursive', '--progress'], {
    grows: join(path, '.git'),
  });
  return `; ${missing === 1 ? 'a submodule was' : `${missing} submodules were`} added`;
}
