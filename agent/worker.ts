import { setTimeout as sleep } from 'node:timers/promises';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createMemoryActivities, type MemoryPort } from '../activities/node/memory.ts';
import { errorMessage } from '../contract/errors.ts';
import { nodeQueue } from '../contract/workflows.ts';
import type { EngineAddress } from '../engine/connect.ts';

/** Activities that one node runs side by side; its memory work is done one after the other anyway. */
const MAX_ACTIVITIES = 8;

/** How long running activities may go on after the agent was told to stop, before they are cancelled… */
const SHUTDOWN_GRACE = '1 second';

/** …and before they are left behind: the engine gives them to the next agent. */
const SHUTDOWN_FORCE = '8 seconds';

/** Pause before the worker is made anew after it failed, in milliseconds. */
const RESTART_MS = 2_000;

/** The agent's worker: it hosts the node's own task queue until it is stopped. */
export interface NodeWorker {
  /** Whether the worker polls Temporal at present. */
  isPolling(): boolean;
  stop(): Promise<void>;
}

/**
 * Hosts `node:<id>`. Temporal may be away at start or go away later: the worker is then made anew until it comes back.
 */
export function startNodeWorker(options: {
  engine: EngineAddress;
  node: string;
  memory: MemoryPort;
  dryrun: boolean;
  log: Logger;
}): NodeWorker {
  const { engine, node, log } = options;
  const activities = createMemoryActivities(options);
  let stopping = false;
  let current: Worker | null = null;
  const stopped = new AbortController();

  const runOnce = async (): Promise<void> => {
    const connection = await NativeConnection.connect({ address: engine.address });
    try {
      current = await Worker.create({
        connection,
        namespace: engine.namespace,
        taskQueue: nodeQueue(node),
        identity: `agent ${node} (pid ${process.pid})`,
        activities,
        maxConcurrentActivityTaskExecutions: MAX_ACTIVITIES,
        shutdownGraceTime: SHUTDOWN_GRACE,
        shutdownForceTime: SHUTDOWN_FORCE,
      });
      if (stopping) return;
      log.info({ queue: nodeQueue(node) }, 'worker polls');
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
        log.warn({ reason: errorMessage(error) }, 'worker ended; it starts again');
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
