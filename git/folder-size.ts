import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Returns the bytes of all files below a folder. Ignores files that disappear during the count; does not
 * follow links.
 */
export async function measureFolder(folder: string): Promise<number> {
  let bytes = 0;
  const open = [folder];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const here = next;
    const entries = await readdir(here, { withFileTypes: true }).catch(() => []);
    const files = entries.filter((entry) => !entry.isDirectory());
    const sizes = await Promise.all(
      files.map(
        async (file) =>
          await lstat(join(here, file.name)).then(
            ({ size }) => size,
            () => 0,
          ),
      ),
    );
    bytes += sizes.reduce((sum, size) => sum + size, 0);
    open.push(...entries.filter((entry) => entry.isDirectory()).map((entry) => join(here, entry.name)));
  }
  return bytes;
}
