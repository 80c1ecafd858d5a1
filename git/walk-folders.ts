import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Maximum depth below the folder of repositories at which clones are searched. */
const MAX_FOLDER_DEPTH = 6;

/** Folders that contain many files but no clones. */
const IGNORED_FOLDERS = new Set(['node_modules', '.git']);

/**
 * Yields every folder below this one, and itself. Does not enter a clone (a folder with a `.git`), and
 * follows no links.
 */
export async function* walkFolders(folder: string, deepest = MAX_FOLDER_DEPTH): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => null);
  if (entries === null) return;
  yield folder;
  // The folder of repositories may be a clone itself; its contents are searched nevertheless.
  const isBase = deepest === MAX_FOLDER_DEPTH;
  if (deepest === 0 || (!isBase && entries.some(({ name }) => name === '.git'))) return;
  for (const entry of entries) {
    if (!entry.isDirectory() || IGNORED_FOLDERS.has(entry.name)) continue;
    yield* walkFolders(join(folder, entry.name), deepest - 1);
  }
}
