import { setTimeout as sleep } from 'node:timers/promises';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { connectionOptions, type EngineAddress } from './connect.ts';

/** A worker that polls until it is stopped. */
export interface KeptWorker {
  /** Returns whether it polls Temporal now. */
  isPolling(): boolean;
  stop(): Promise<void>;
}

/** Pause before an ended worker is created again, in milliseconds. */
const RESTART_MS = 2_000;

/**
 * Keeps a worker polling. Temporal may be away at the start or later; the worker is then created again until
 * Temporal is back.
 * @param hears.polls called when a worker begins to poll; hears.ended called when one ended, with the reason;
 * another follows
 */
export function keepWorker(
  engine: EngineAddress,
  options: Omit<WorkerOptions, 'connection' | 'namespace'>,
  hears: { polls(): void; ended(reason: unknown): void },
): KeptWorker {
  let stopping = false;
  let current: Worker | null = null;
  const stopped = new AbortController();

  const runOnce = async (): Promise<void> => {
    const connection = await NativeConnection.connect(connectionOptions(engine));
    try {
      current = await Worker.create({ ...options, connection, namespace: engine.namespace });
      if (stopping) return;
      hears.polls();
      await current.run();
    } finally {
      current = null;
      await connection.close().catch(() => undefined);
    }
  };

  const running = (async (): Promise<void> => {
    while (!stopping) {
      try {
        await runOnce();
      } catch (error) {
        hears.ended(error);
      }
      if (!stopping) await sleep(RESTART_MS, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  })();

  return {
    isPolling: () => current?.getState() === 'RUNNING',
    stop: async () => {
      stopping = true;
      stopped.abort();
      if (current?.getState() === 'RUNNING') current.shutdown();
      await running;
    },
  };
}
