// Entry of the memory thread: everything that waits for SQLite, so that heartbeats and HTTP never do.
import { parentPort, workerData } from 'node:worker_threads';
import { setTimeout as sleep } from 'node:timers/promises';
import { MembridgeError, errorMessage } from '../contract/errors.ts';
import type { SpaceConfig } from '../contract/memory.ts';
import { MemoryEngine, type SyncCall } from '../memory/engine.ts';
import { loadSealingKey } from '../memory/sealing.ts';
import { loadNodeKey } from '../memory/signing.ts';
import { openObjectStore } from '../storage/object-store.ts';
import type { Reply, Request, ThreadOptions } from './memory-messages.ts';

/** How often claude-mem is asked whether anything was committed: 0.01 ms each time (PRAGMA data_version). */
const LOOK_EVERY_MS = 100;

/** The same after an error, such as a database that is not there yet. */
const LOOK_AFTER_ERROR_MS = 2_000;

const port = parentPort;
if (port === null) throw new Error('agent/memory-thread.ts runs as a worker thread only');
const options = workerData as ThreadOptions;
const engine = new MemoryEngine({
  databasePath: options.databasePath,
  ledgerPath: options.ledgerPath,
  lockDirectory: options.lockDirectory,
  identity: {
    node: options.node,
    key: loadNodeKey(options.privateKey),
    certificate: options.certificate,
    controlPublicKey: options.controlPublicKey,
    sealingKeys: options.sealingKeys.map(loadSealingKey),
  },
  store: openObjectStore(options.store),
  orphanWaitMs: options.orphanWaitMs,
  log: (message) => reply({ type: 'log', message }),
});
const running = new Map<number, AbortController>();
let spaces: SpaceConfig[] = [];
let closing = false;

function reply(message: Reply): void {
  port?.postMessage(message);
}

async function serve(id: number, work: (call: SyncCall) => Promise<unknown>): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  const progress = (text: string): void => reply({ type: 'progress', id, text });
  try {
    const result = await work({ signal: controller.signal, progress });
    reply({ type: 'done', id, result: result as never });
  } catch (error) {
    const code = error instanceof MembridgeError ? error.code : null;
    reply({ type: 'failed', id, code, message: errorMessage(error) });
  } finally {
    running.delete(id);
  }
}

port.on('message', (request: Request) => {
  switch (request.type) {
    case 'push':
      void serve(request.id, (call) => engine.push(request.space, call));
      break;
    case 'pull':
      // What was merged may be more than the peers knew, so the next look is a real one.
      void serve(request.id, async (call) => {
        const result = await engine.pull(request.space, request.full, call);
        engine.forgetNotice();
        return result;
      });
      break;
    case 'status':
      void serve(request.id, () => engine.status());
      break;
    case 'abort':
      running.get(request.id)?.abort(new Error('the sync was cancelled'));
      break;
    case 'watch':
      spaces = request.spaces;
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
    let pause = LOOK_EVERY_MS;
    try {
      const cids = spaces.length === 0 ? [] : await engine.notice(spaces, never);
      if (cids.length > 0) reply({ type: 'noticed', cids });
    } catch {
      // What is wrong with the database is told by status and by every job; the watch just looks again later.
      pause = LOOK_AFTER_ERROR_MS;
    }
    await sleep(pause);
  }
}

void watch();
