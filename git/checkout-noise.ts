/**
 * Finds files that git reports as changed although a checkout of the same commit would write them again. They
 * make a fresh clone "dirty" at once. Causes: line endings set by attributes, a filter that passes a file
 * through, and names that differ only in letter case on a case-insensitive disk.
 */
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Git } from './git.ts';

/** More files than this count as changed without a check, which would take too long. */
const MAX_FILES = 5_000;
const MAX_BYTES = 256_000_000;

/**
 * Returns the files whose content is what a checkout writes.
 * @param paths files of the index that differ in the folder, relative to the clone
 */
export async function findCheckoutNoise(git: Git, paths: readonly string[]): Promise<Set<string>> {
  if (paths.length === 0 || paths.length > MAX_FILES) return new Set();
  const twins = await findCaseTwins(git, paths);
  const wanted = [...new Set([...paths, ...twins.values()].flat())];
  const fresh = join(git.aside, 'fresh');
  await mkdir(fresh, { recursive: true });
  try {
    const args = ['checkout-index', '--quiet', `--prefix=${fresh}/`, '-z', '--stdin'];
    await git.feed(wanted.map((path) => `${path}\0`).join(''), ...args);
    const noise = new Set<string>();
    let bytes = 0;
    for (const path of paths) {
      const size = (await stat(join(git.path, path)).catch(() => null))?.size ?? 0;
      bytes += size;
      if (bytes > MAX_BYTES) return new Set();
      for (const each of [path, ...(twins.get(path) ?? [])]) {
        if (await isSameFile(join(git.path, path), join(fresh, each))) noise.add(path);
      }
    }
    return noise;
  } catch {
    // The check failed, for example in a filter, so the files count as changed.
    return new Set();
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** Returns, for each path, the other files of the index whose names differ only in letter case. */
async function findCaseTwins(git: Git, paths: readonly string[]): Promise<Map<string, string[]>> {
  const all = (await git.ask('ls-files', '-z')).split('\0').filter((path) => path !== '');
  const byFold = Map.groupBy(all, fold);
  const others = (path: string): string[] => (byFold.get(fold(path)) ?? []).filter((each) => each !== path);
  return new Map(paths.map((path) => [path, others(path)]));
}

const fold = (path: string): string => path.normalize('NFC').toLowerCase();

async function isSameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((file) => readFile(file).catch(() => null)));
  return a != null && b != null && a.equals(b);
}
