/** Working folders of contexts whose tasks run in no project's clone: programs find their sessions by the folder. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

/** How long a folder is kept after its last task, in milliseconds: as long as the session that belongs to it. */
const CONTEXT_LIFETIME_MS = 30 * 24 * 3_600_000;

/** Returns the folder of a context; creates it if it is missing. */
export async function contextFolder(dataDir: string, contextId: string): Promise<string> {
  const name = createHash('sha256').update(contextId).digest('hex').slice(0, 16);
  const folder = join(dataDir, 'contexts', name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const now = new Date();
  await utimes(folder, now, now);
  return folder;
}

/**
 * Removes the folders of contexts that had no task for a month, with what programs left in them. Call it before any
 * run.
 * @returns how many it removed
 */
export async function sweepContexts(dataDir: string, now = Date.now()): Promise<number> {
  const base = join(dataDir, 'contexts');
  let removed = 0;
  for (const name of await readdir(base).catch(() => [])) {
    const folder = join(base, name);
    const usedAt = (await stat(folder).catch(() => null))?.mtimeMs ?? now;
    if (now - usedAt < CONTEXT_LIFETIME_MS) continue;
    await rm(folder, { recursive: true, force: true });
    removed += 1;
  }
  return removed;
}
