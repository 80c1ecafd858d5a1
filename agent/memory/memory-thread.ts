// Entry of the memory thread. Everything that waits for SQLite runs here, so that heartbeats and HTTP never wait for
// it.
import { parentPort, workerData } from 'node:worker_threads';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import type { MemoryStatus, SpaceConfig } from '../../contract/memory/memory.ts';
import type { MirrorOutcome } from '../../contract/memory/mirror.ts';
import { readConfigEnv } from '../../memory/legacy/config-env.ts';
import { describePublication } from '../../memory/legacy/publish.ts';
import { MemoryEngine, type SyncCall } from '../../memory/engine.ts';
import type { Membership } from '../../contract/memory/membership.ts';
import { loadSealingKey } from '../../memory/format/sealing.ts';
import { loadNodeKey } from '../../memory/format/signing.ts';
import { isThroughControlPlane, openRoutedStore, type StoreRoute } from '../../storage/store-route.ts';
import { findEngineCall } from '../calls/index.ts';
import { sweepTrials } from '../calls/restore.ts';
import type { Reply, Request, ThreadOptions } from './memory-messages.ts';
import { RollingAudit } from './rolling-audit.ts';

/** How often the thread checks whether claude-mem committed anything; 0.01 ms each time (PRAGMA data_version). */
const POLL_MS = 100;

/** The same interval after an error, such as a database that does not exist yet. */
const POLL_AFTER_ERROR_MS = 2_000;

const port = parentPort;
if (port === null) throw new Error('agent/memory/memory-thread.ts runs as a worker thread only');
const options = workerData as ThreadOptions;
sweepTrials(dirname(options.ledgerPath));
/** The latest membership from the control plane. A reopened engine receives it again. */
let membership: Membership | null = null;
let engine = openEngine(options.sealingKeys);
let audit = new RollingAudit(engine, options.databasePath);
/** Settles when the engine may be used: it is rebuilt when the node's keys change. */
let ready: Promise<void> = Promise.resolve();
const running = new Map<number, AbortController>();
let spaces: SpaceConfig[] = [];
/** Whether the control plane or a sync has named the spaces that this node takes part in. */
let knowsSpaces = false;
let guarded: string | null = null;
let closing = false;

function openEngine(sealingKeys: readonly string[]): MemoryEngine {
  return new MemoryEngine({
    databasePath: options.databasePath,
    ledgerPath: options.ledgerPath,
    lockDirectory: options.lockDirectory,
    identity: {
      node: options.node,
      key: loadNodeKey(options.privateKey),
      certificate: options.certificate,
      controlPublicKey: options.controlPublicKey,
      sealingKeys: sealingKeys.map(loadSealingKey),
    },
    store: openRoutedStore(options.store),
    orphanWaitMs: options.orphanWaitMs,
    log: (message) => reply({ type: 'log', message }),
  });
}

function reply(message: Reply): void {
  port?.postMessage(message);
}

async function serve(id: number, work: (call: SyncCall) => Promise<unknown>): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  const progress = (text: string): void => reply({ type: 'progress', id, text });
  try {
    await ready;
    const result = await work({ signal: controller.signal, progress });
    reply({ type: 'done', id, result });
  } catch (error) {
    const code = error instanceof MembridgeError ? error.code : null;
    reply({ type: 'failed', id, code, message: errorMessage(error) });
  } finally {
    running.delete(id);
  }
}

/** Pushes, and remembers whether mass deletions stopped the push, so that `deletes` can show it. */
async function push(space: SpaceConfig, call: SyncCall): Promise<unknown> {
  try {
    const result = await engine.push(space, call);
    guarded = null;
    return result;
  } catch (error) {
    if (error instanceof MembridgeError && error.code === 'memory_guarded') guarded = error.message;
    throw error;
  }
}

async function pull(space: SpaceConfig, full: boolean, call: SyncCall): Promise<unknown> {
  const result = await engine.pull(space, full, call);
  // A merge may hold more than the peers know, so the next look must compare again.
  engine.forgetNotice();
  return result;
}

async function callEngine(name: string, input: unknown, call: SyncCall): Promise<unknown> {
  const { databasePath, configEnv } = options;
  const dataDir = dirname(options.ledgerPath);
  return await findEngineCall(name).run(
    { engine, databasePath, dataDir, spaces, guarded, configEnv, call },
    input,
  );
}

/** Does the primary's work for a space. */
async function primary(
  { what, space, epoch }: Extract<Request, { type: 'primary' }>,
  call: SyncCall,
): Promise<string> {
  switch (what) {
    case 'snapshot': {
      const { operations, bytes } = await engine.snapshot(space, call, epoch);
      return `${operations} memories, ${bytes} bytes`;
    }
    case 'collect': {
      const { segments, snapshots } = await engine.collect(space, call);
      return `${segments} segments and ${snapshots} snapshots removed`;
    }
  }
}

/** Publishes the mirror in the store of the original's scripts (config.env), if there is one. */
async function mirror(
  { space, epoch, agreed }: Extract<Request, { type: 'mirror' }>,
  call: SyncCall,
): Promise<MirrorOutcome> {
  const original = existsSync(options.configEnv)
    ? readConfigEnv(options.configEnv)
    : { access: mirrorRoute(epoch), force: process.env['FORCE_PUSH'] === '1' };
  const target = { ...original, ...agreed, force: agreed.force === true || original.force };
  try {
    const done = await engine.publishLegacy(space, target, call, epoch);
    const { requests, bytesUp, bytesDown } = done.traffic;
    return {
      line: describePublication(done),
      published: done.state === 'published',
      imported: done.imported,
      requests,
      bytesUp,
      bytesDown,
      everyMs: options.mirrorEveryMs,
    };
  } finally {
    // What came in belongs to the fleet, even when nothing was published.
    engine.forgetNotice();
  }
}

/** Returns the route to the fleet's own store. Through the control plane, a mirror is written in the name of a leadership epoch. */
function mirrorRoute(epoch: number): StoreRoute {
  return isThroughControlPlane(options.store) ? { ...options.store, epoch } : options.store;
}

/** Returns the memory's state. Before the spaces are known it is not ready: nothing can be said about their syncs. */
async function status(): Promise<MemoryStatus> {
  const found = await engine.status(knowsSpaces ? spaces : []);
  if (knowsSpaces || found.state !== 'ready') return found;
  return {
    ...found,
    state: 'starting',
    detail: 'The agent does not know yet in which spaces this node takes part.',
  };
}

/** Replaces the sealing keys when the running calls have ended. */
async function useKeys(sealingKeys: readonly string[]): Promise<void> {
  await engine.close();
  engine = openEngine(sealingKeys);
  if (membership !== null) engine.setMembership(membership);
  audit = new RollingAudit(engine, options.databasePath);
}

port.on('message', (request: Request) => {
  switch (request.type) {
    case 'push':
      void serve(request.id, (call) => push(request.space, call));
      break;
    case 'pull':
      void serve(request.id, (call) => pull(request.space, request.full, call));
      break;
    case 'status':
      void serve(request.id, status);
      break;
    case 'call':
      void serve(request.id, (call) => callEngine(request.name, request.input, call));
      break;
    case 'primary':
      void serve(request.id, (call) => primary(request, call));
      break;
    case 'mirror':
      void serve(request.id, (call) => mirror(request, call));
      break;
    case 'keys':
      ready = ready.then(() => useKeys(request.sealingKeys));
      void serve(request.id, () => Promise.resolve(null));
      break;
    case 'membership':
      membership = request.membership;
      void serve(request.id, () => {
        engine.setMembership(request.membership);
        return Promise.resolve(null);
      });
      break;
    case 'abort':
      running.get(request.id)?.abort(new Error('the sync was cancelled'));
      break;
    case 'watch':
      spaces = request.spaces;
      knowsSpaces = true;
      break;
    case 'look-again':
      engine.forgetNotice();
      break;
    case 'close':
      closing = true;
      for (const controller of running.values()) controller.abort(new Error('the agent stops'));
      void serve(request.id, async () => {
        await engine.close();
        return null;
      }).finally(() => port.close());
      break;
  }
});

async function watch(): Promise<void> {
  const never = new AbortController().signal;
  while (!closing) {
    let pause = POLL_MS;
    try {
      await ready;
      const cids = spaces.length === 0 ? [] : await engine.notice(spaces, never);
      if (cids.length > 0) reply({ type: 'noticed', cids });
      // A sync finds changes itself, and must not wait for the audit.
      if (spaces.length > 0 && running.size === 0) await audit.tick(performance.now());
    } catch {
      // Status and every job report what is wrong with the database; the watch just tries again later.
      pause = POLL_AFTER_ERROR_MS;
    }
    await sleep(pause);
  }
}

void watch();
