import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Where build tools keep reproducible results. */
const CACHE = join(ROOT, 'node_modules', '.cache', 'membridge');

/**
 * Bundles all workflows with the SDK's bundler. The result is cached by the hash of their sources, so that
 * only the first start after a change takes the few seconds.
 * @returns the path of the bundle
 */
export async function workflowBundle(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of sources())
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(ROOT, file)));
  const path = join(CACHE, `workflows-${hash.digest('hex').slice(0, 16)}.js`);
  if (existsSync(path)) return path;
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(ROOT, 'workflows', 'index.ts'),
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error: console.error },
  });
  mkdirSync(CACHE, { recursive: true });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, code);
  renameSync(draft, path);
  return path;
}

/**
 * Returns the inputs of the bundle: workflow and contract sources, and the lock file for the SDK's version.
 */
function sources(): string[] {
  const inFolder = (folder: string): string[] =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map((name) => join(folder, name))
      .sort();
  return [...inFolder('workflows'), ...inFolder('contract'), 'package-lock.json'];
}
