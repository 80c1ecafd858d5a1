import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * An interrupted git leaves its temporary packs behind, and gc removes them two weeks later at the earliest.
 */
const TEMPORARY_PACK = /^tmp_(?:pack|idx|rev)_/;

/**
 * A file that changed within this time, in milliseconds, belongs to another git that is working in the clone.
 */
const QUIET_MS = 500;

/**
 * Does the work; if it fails, removes the unfinished packs that it left in a clone.
 * @param objects the clone's object folder
 */
export async function withoutLeftovers<T>(objects: string, work: () => Promise<T>): Promise<T> {
  const folder = join(objects, 'pack');
  const before = new Set(await listTemporaryPacks(folder));
  try {
    return await work();
  } catch (error) {
    const left = (await listTemporaryPacks(folder)).filter((name) => !before.has(name));
    if (left.length > 0) await removeQuiet(left.map((name) => join(folder, name)));
    throw error;
  }
}

async function listTemporaryPacks(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).filter((name) => TEMPORARY_PACK.test(name));
}

async function removeQuiet(files: readonly string[]): Promise<void> {
  const looks = async (): Promise<string[]> =>
    await Promise.all(
      files.map(async (file) => {
        const { size, mtimeMs } = await stat(file).catch(() => ({ size: -1, mtimeMs: 0 }));
        return `${size} ${mtimeMs}`;
      }),
    );
  const first = await looks();
  await sleep(QUIET_MS);
  const second = await looks();
  const quiet = files.filter((_file, index) => first[index] === second[index]);
  await Promise.all(quiet.map((file) => rm(file, { force: true })));
}
