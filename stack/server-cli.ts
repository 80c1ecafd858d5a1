/** `membridge-server COMMAND`: what an operator does to the server of this machine. */
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, parseEnv } from 'node:util';
import { errorMessage } from '../contract/errors.ts';
import { tryLock } from './lock.mjs';
import { rotateStoreKey } from './rotate-store-key.ts';

const USAGE = `membridge-server COMMAND [--settings FILE]
  rotate-store-key   makes new keys for the object store of this server

  --settings FILE    the server's settings, such as ~/.config/membridge/server.env
`;

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Returns when a change of the store's keys takes effect. */
function describeEffect(dataDir: string): string {
  const lock = tryLock(join(dataDir, 'start.lock'));
  if ('heldBy' in lock) {
    return 'Restart the server now: it still runs with the former keys.';
  }
  lock.release();
  return 'The next start of the server uses them.';
}

function main(): number {
  const { values, positionals } = parseArgs({
    options: { settings: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (positionals.length !== 1 || positionals[0] !== 'rotate-store-key') {
    process.stderr.write(USAGE);
    return 2;
  }
  const kept = values.settings === undefined ? {} : parseEnv(readFileSync(values.settings, 'utf8'));
  const env = { ...process.env, ...kept };
  const dataDir = resolve(root, env.MEMBRIDGE_DATA_DIR || '.membridge');
  rotateStoreKey(dataDir, env);
  process.stdout.write(`The object store has new keys. ${describeEffect(dataDir)}
Nodes that reach the store directly ask for its keys when they start: restart their agents.
`);
  return 0;
}

try {
  process.exitCode = main();
} catch (error) {
  process.stderr.write(`membridge-server: ${errorMessage(error)}\n`);
  process.exitCode = 1;
}
