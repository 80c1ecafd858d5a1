import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';

/** Files of source-like text in each repository, 2 KB each, because a checkout is more than unpacking large files. */
const SMALL_FILES = 5_000;
/** Bytes of one file of noise, which cannot be compressed. */
const LARGE_BYTES = 10_000_000;

function git(cwd: string, ...args: string[]): void {
  execFileSync('git', ['-c', 'user.name=Bench', '-c', 'user.email=bench@example.org', ...args], {
    cwd,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/**
 * Makes a bare repository of a given size once, and stores it.
 * @param cache where it is stored
 * @param megabytes of noise that it holds besides the small files
 * @returns its folder
 */
export function cachedRepository(cache: string, megabytes: number, log: (line: string) => void): string {
  const folder = join(cache, `repository-${megabytes}.git`);
  if (existsSync(folder)) return folder;
  log(`making a repository of ${megabytes} MB ...`);
  const draft = join(cache, `repository-${megabytes}.draft`);
  const bare = `${folder}.new`;
  for (const left of [draft, bare]) rmSync(left, { recursive: true, force: true });
  mkdirSync(join(draft, 'src'), { recursive: true });
  git(draft, 'init', '--quiet', '--initial-branch=main');
  for (let n = 0; n < SMALL_FILES; n += 1) {
    const words =
      randomBytes(400)
        .toString('hex')
        .match(/.{1,40}/g) ?? [];
    writeFileSync(join(draft, 'src', `file-${n}.txt`), `${words.join('\n')}\n`.repeat(3));
  }
  for (let n = 0; n * LARGE_BYTES < megabytes * 1e6; n += 1) {
    writeFileSync(join(draft, `noise-${n}`), randomBytes(LARGE_BYTES));
  }
  git(draft, 'add', '--all');
  git(draft, 'commit', '--quiet', '--message', 'Everything');
  git(cache, 'clone', '--quiet', '--bare', draft, bare);
  // One pack, as on a well-kept server.
  git(bare, 'repack', '-a', '-d', '--quiet');
  renameSync(bare, folder);
  rmSync(draft, { recursive: true, force: true });
  return folder;
}

/** Runs a plain `git clone`, as a person would. @returns how long it took, in ms */
export async function bareClone(url: string, target: string): Promise<number> {
  const began = performance.now();
  const child = spawn('git', ['clone', '--quiet', url, target], { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`git clone of ${url} ended with ${code}`);
  return performance.now() - began;
}
