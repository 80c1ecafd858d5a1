import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** How deep below the folder of repositories clones are looked for. */
const DEEPEST = 6;

/** What no clone lies in, but much else. */
const PASSED_OVER = new Set(['node_modules', '.git']);

/**
 * Every folder below (and including) this one, but for what is inside of a clone: a folder with a `.git` is given and not
 * entered. Links are not followed.
 */
export async function* foldersBelow(folder: string, deepest = DEEPEST): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => null);
  if (entries === null) return;
  yield folder;
  // The folder of repositories may be a clone itself; what is in it is looked at all the same.
  const isBase = deepest === DEEPEST;
  if (deepest === 0 || (!isBase && entries.some(({ name }) => name === '.git'))) return;
  for (const entry of entries) {
    if (!entry.isDirectory() || PASSED_OVER.has(entry.name)) continue;
    yield* foldersBelow(join(folder, entry.name), deepest - 1);
  }
}
