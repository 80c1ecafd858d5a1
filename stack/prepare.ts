/**
 * `prepare.ts server [settings.env]`: fetches and builds what a start of the server needs, so that the first start is
 * quick and works without a network. `prepare.ts image`: only the page and the workflow bundle, for a container
 * image. Stdout has one line for each thing: `changed` or `left`, a tab, and its name. Progress goes to stderr.
 */
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { workflowBundle } from '../workflows/bundle.ts';
import { buildWeb } from './build-web.ts';
import { loadServerSecrets, loadStackSecrets } from './secrets.ts';
import { findTool } from './tools.ts';
import { chooseTemporalProgram } from './stack.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const startedAt = Date.now();

function log(line: string): void {
  console.error(`membridge: ${line}`);
}

function report(changed: boolean, what: string): void {
  console.log(`${changed ? 'changed' : 'left'}\t${what}`);
}

/** Returns when the file was last written, in epoch milliseconds. */
function modified(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

/** Prepares Temporal and MinIO, unless the settings name other machines for them; then the secrets. */
async function prepareServer(): Promise<void> {
  const { env } = process;
  if (!env.TEMPORAL_ADDRESS) await findTool(chooseTemporalProgram(env), log);
  if (!env.MINIO_ENDPOINT) await findTool('minio', log);
  const dataDir = resolve(root, env.MEMBRIDGE_DATA_DIR || '.membridge');
  const files = [
    [join(dataDir, 'server.env'), () => loadServerSecrets(dataDir, env), 'the keys of the server'],
    [join(dataDir, 'stack.json'), () => loadStackSecrets(dataDir), 'the keys of PostgreSQL and MinIO'],
  ] as const;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  for (const [file, make, what] of files) {
    const before = modified(file);
    make();
    if (existsSync(file)) report(modified(file) !== before, `${file} (${what})`);
  }
}

async function preparePage(): Promise<void> {
  report(await buildWeb(log), `${join(root, 'dist', 'web')} (the page)`);
  const bundle = await workflowBundle();
  report((modified(bundle) ?? 0) >= startedAt, `${bundle} (the workflows)`);
}

const [what, settings] = process.argv.slice(2);
if (what === 'server') {
  // The service reads only the file, so the file overrides the environment.
  if (settings !== undefined) Object.assign(process.env, parseEnv(readFileSync(settings, 'utf8')));
  await prepareServer();
} else if (what !== 'image') {
  console.error('usage: prepare.ts server [settings.env] | image');
  process.exit(2);
}
await preparePage();
// Otherwise the bundler's worker threads would keep the process alive for a while.
process.exit();
