import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { GIT_SETTINGS, gitEnvironment } from './environment.ts';
import { isPartialName } from './partials.ts';
import { walkFolders } from './walk-folders.ts';

/** A clone in the original's `GET /repos`. */
export interface ListedRepository {
  readonly name: string;
  readonly path: string;
  /** Full hash; null for an empty or unreadable repository. */
  readonly last_commit: string | null;
}

/** Time limit for reading one clone's commit, in milliseconds. */
const ASK_MS = 10_000;

/** Returns every clone below the folder of repositories, by path. */
export async function listRepositories(reposBase: string): Promise<ListedRepository[]> {
  const found: ListedRepository[] = [];
  for await (const path of walkFolders(reposBase)) {
    if (path === reposBase || path.split('/').some(isPartialName) || !existsSync(join(path, '.git')))
      continue;
    found.push({ name: basename(path), path, last_commit: await readLastCommit(path) });
  }
  return found.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

async function readLastCommit(path: string): Promise<string | null> {
  const args = [...GIT_SETTINGS, 'rev-parse', '--verify', '--quiet', 'HEAD'];
  const options = {
    cwd: path,
    env: { ...gitEnvironment(process.env), GIT_ALLOW_PROTOCOL: 'none' },
    timeout: ASK_MS,
  };
  return await promisify(execFile)('git', args, options).then(
    ({ stdout }) => stdout.trim(),
    () => null,
  );
}
