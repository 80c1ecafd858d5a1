/**
 * `npm start`: runs PostgreSQL, MinIO, Temporal, the control plane and an agent for this machine, until Ctrl-C. With
 * `--no-agent`, or MEMBRIDGE_ROLES=runtime, it starts no agent: the memory of such a server's machine takes no part.
 * `--listen ADDRESS:PORT`, or MEMBRIDGE_LISTEN, opens the server to other machines, by HTTPS, and prints how they join.
 * With `--dev` (`npm run dev`), Vite serves the page, and the API and the agent are restarted after a change of their code.
 */
import { once } from 'node:events';
import { fstatSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { TEMPORAL_PAGE } from '../contract/names.ts';
import { isLoopbackAddress } from '../contract/nodes/own-host.ts';
import { buildWeb } from './build-web.ts';
import { restartOnChange, servePage } from './dev.ts';
import { describeJoining } from './join-command.ts';
import { keepAlive } from './keep-alive.ts';
import { chooseAddress, type ApiAddress } from './listen.ts';
import { tryLock } from './lock.mjs';
import { elapsed } from './machine.mjs';
import { rolesOf, startAgent, startApi } from './membridge.ts';
import { killRecorded } from './processes.ts';
import { loadServerSecrets } from './secrets.ts';
import type { Service } from './service.ts';
import { startStack, type Stack } from './stack.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const env = process.env;
const began = Date.now();
const undo: Array<() => Promise<void>> = [];
const stopAsked = new AbortController();

function log(line: string): void {
  console.log(`[${elapsed(began).padStart(6)}] ${line}`);
}

/** Registers how to stop a service, and restarts it if it dies. */
function supervise(service: Service): void {
  const alive = keepAlive(service, log);
  undo.push(async () => {
    await alive.end();
    await service.stop();
  });
}

async function startParts(dataDir: string): Promise<Stack> {
  const stack = await startStack({ dataDir, env, log });
  for (const part of Object.values(stack.parts)) supervise(part);
  log('PostgreSQL, MinIO and Temporal answer');
  return stack;
}

interface Options {
  readonly withAgent: boolean;
  readonly isDev: boolean;
  /** ADDRESS:PORT; undefined: as MEMBRIDGE_HOST and MEMBRIDGE_PORT say. */
  readonly listen: string | undefined;
}

/** How often the machine's addresses and the end of the private certificate are looked at, in milliseconds. */
const RENEWAL_CHECK_MS = 60_000;

async function startAll(dataDir: string, { withAgent, isDev, listen }: Options): Promise<void> {
  const address = await chooseAddress({ root, dataDir, env, listen });
  if (isDev && address.local.url.startsWith('https:')) {
    throw new Error(
      'npm run dev serves the page on loopback by plain HTTP. Leave out --listen, MEMBRIDGE_LISTEN and MEMBRIDGE_TLS_CERT.',
    );
  }
  const secrets = loadServerSecrets(dataDir, env);
  const [starting, building] = [startParts(dataDir), isDev ? Promise.resolve(false) : buildWeb(log)];
  // Waits for both, so that a failure of one leaves nothing of the other behind.
  await Promise.allSettled([starting, building]);
  const stack = await starting;
  await building;
  if (stopAsked.signal.aborted) return;
  const api = await startApi({ root, dataDir, env, secrets, stack, address });
  supervise(api);
  if (stopAsked.signal.aborted) return;
  // A runtime-only process has no control plane here for an agent to enrol at.
  const agent =
    withAgent && rolesOf(env).has('control')
      ? await startAgent({ root, dataDir, env, secrets, server: api.server })
      : null;
  if (agent !== null) supervise(agent);
  keepCertificate(address);
  const pageUrl = isDev ? await develop(api, agent) : (address.remote?.urls[0] ?? api.url);
  log('Membridge is ready. Ctrl-C stops everything.');
  // More people may read the journal than may know the key.
  const key = isJournal()
    ? `   (the key: RUNTIME_API_KEY in ${dataDir}/server.env)`
    : `#key=${secrets.RUNTIME_API_KEY}`;
  const page = rolesOf(env).has('runtime') ? `/signin${key}` : '/docs';
  console.log(`\n  Open       ${pageUrl}${page}`);
  // Our own Temporal page is shown behind our own sign-in.
  const workflows = stack.parts.temporal
    ? `${isDev ? api.url : pageUrl}${TEMPORAL_PAGE}`
    : stack.temporal.uiUrl;
  if (workflows) console.log(`  Workflows  ${workflows}`);
  console.log(`  Logs       ${dataDir}/*.log\n`);
  if (isPlainBeyondLoopback(address)) {
    log(
      `${address.host} is open to other machines by plain HTTP, on which agents send no key unless their owners allow it. --listen ${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port} serves HTTPS (docs/add-a-machine.md)`,
    );
  }
  if (address.remote === null || !rolesOf(env).has('control')) return;
  const apiKey = isJournal() ? null : secrets.RUNTIME_API_KEY;
  const caFile = address.renew === null ? null : join(dataDir, 'tls', 'ca.pem');
  const lines = await describeJoining(api.server, address.remote, { apiKey, caFile });
  console.log(lines.join('\n'));
}

/** Returns whether other machines reach the server by plain HTTP, and no proxy with TLS is announced. */
function isPlainBeyondLoopback({ host, local }: ApiAddress): boolean {
  const hasProxy = Number(env.MEMBRIDGE_TRUST_PROXY || '0') > 0;
  return local.url.startsWith('http:') && !isLoopbackAddress(host) && !hasProxy;
}

/** Renews the private certificate when that is due; the control plane notices the new file. */
function keepCertificate({ renew }: ApiAddress): void {
  if (renew === null) return;
  let problem = '';
  const check = async (): Promise<void> => {
    try {
      if (await renew()) log('the certificate was renewed');
      problem = '';
    } catch (error) {
      if (messageOf(error) !== problem) log(`the certificate was not renewed: ${messageOf(error)}`);
      problem = messageOf(error);
    }
  };
  const timer = setInterval(() => void check(), RENEWAL_CHECK_MS);
  undo.push(() => Promise.resolve(clearInterval(timer)));
}

/** Serves the page with hot reload and watches the code. @returns the address of the page */
async function develop(api: Service & { url: string }, agent: Service | null): Promise<string> {
  const stops = [restartOnChange(root, api, 'api', log)];
  if (agent !== null) stops.push(restartOnChange(root, agent, 'agent', log));
  const page = await servePage(root, api.url);
  undo.push(async () => {
    for (const stop of stops) stop();
    await page.stop();
  });
  return page.url;
}

/** Returns whether our output goes to systemd's journal; terminals may inherit the variable alone. */
function isJournal(): boolean {
  const { dev, ino } = fstatSync(1);
  return env.JOURNAL_STREAM === `${dev}:${ino}`;
}

/** Stops what was started, in reverse order. */
async function stopAll(): Promise<void> {
  for (let next = undo.pop(); next; next = undo.pop()) {
    await next().catch((error: unknown) => log(messageOf(error)));
  }
}

function listenForSignals(dataDir: string): void {
  let lastSignalAt = 0;
  const onSignal = (): void => {
    // One Ctrl-C may arrive twice: from the terminal and through npm.
    const isRepeat = Date.now() - lastSignalAt < 500;
    lastSignalAt = Date.now();
    if (isRepeat) return;
    if (!stopAsked.signal.aborted) {
      log('stopping ... (Ctrl-C again kills)');
      stopAsked.abort();
      return;
    }
    killRecorded(dataDir);
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
}

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      'no-agent': { type: 'boolean', default: false },
      dev: { type: 'boolean', default: false },
      listen: { type: 'string' },
    },
  });
  const wanted = resolve(root, env.MEMBRIDGE_DATA_DIR || '.membridge');
  mkdirSync(wanted, { recursive: true, mode: 0o700 });
  const dataDir = realpathSync(wanted);
  const lock = tryLock(join(dataDir, 'start.lock'));
  if ('heldBy' in lock) {
    throw new Error(
      `Membridge already runs on ${dataDir} (process ${lock.heldBy}). Stop that one first, or set MEMBRIDGE_DATA_DIR to another folder.`,
    );
  }
  listenForSignals(dataDir);
  try {
    const listen = options.listen ?? (env.MEMBRIDGE_LISTEN || undefined);
    await startAll(dataDir, { withAgent: !options['no-agent'], isDev: options.dev, listen });
    if (!stopAsked.signal.aborted) await once(stopAsked.signal, 'abort');
  } finally {
    await stopAll();
    lock.release();
    log('stopped');
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

try {
  await main();
} catch (error) {
  // An interrupted start fails somewhere; that was requested.
  if (!stopAsked.signal.aborted) {
    console.error(`membridge: ${messageOf(error)}`);
    process.exitCode = 1;
  }
}
process.exit();
