/** Builds the web page into dist/web when its sources have changed since the last build. */
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { elapsed } from './machine.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = ['web/**/*', 'contract/**/*.ts', 'package-lock.json', 'stack/build-web.ts'];
/** File types that are worth compressing. Fonts and images are compressed already. */
const COMPRESSIBLE = '**/*.{js,css,html,svg}';

/**
 * Updates dist/web. The built page is moved into place whole.
 * @returns whether a build was needed
 * @throws when Vite cannot build it
 */
export async function buildWeb(log: (line: string) => void): Promise<boolean> {
  const target = join(root, 'dist', 'web');
  const stamp = join(target, '.stamp');
  const wanted = hashOfSources();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return false;
  const started = Date.now();
  log('building the page ...');
  const building = join(root, 'dist', `web-${process.pid}`);
  try {
    const { build } = await import('vite');
    await build({
      root: join(root, 'web'),
      logLevel: 'warn',
      build: { outDir: building, emptyOutDir: true },
    });
    await compressFiles(building);
    writeFileSync(join(building, '.stamp'), wanted);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(dirname(target), { recursive: true });
    renameSync(building, target);
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
  log(`built the page in ${elapsed(started)}`);
  return true;
}

/** Writes a `.br` and a `.gz` beside each text file below a folder, so that the server need not compress per request. */
export async function compressFiles(folder: string): Promise<void> {
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  for (const name of globSync(COMPRESSIBLE, { cwd: folder })) {
    const file = join(folder, name);
    const plain = await readFile(file);
    await writeFile(`${file}.br`, await promisify(brotliCompress)(plain, quality));
    await writeFile(`${file}.gz`, await promisify(gzip)(plain, { level: constants.Z_BEST_COMPRESSION }));
  }
}

function hashOfSources(): string {
  const hash = createHash('sha256');
  const files = globSync(sources, { cwd: root, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const file of files.map((entry) => join(entry.parentPath, entry.name)).sort()) {
    hash.update(file.slice(root.length)).update('\0').update(readFileSync(file)).update('\0');
  }
  return hash.digest('hex');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const built = await buildWeb((line) => console.error(line));
  if (!built) console.error('the page is up to date');
}
