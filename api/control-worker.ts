import { setTimeout as sleep } from 'node:timers/promises';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createControlActivities } from '../activities/control/index.ts';
import { errorMessage } from '../contract/errors.ts';
import { CONTROL_QUEUE } from '../contract/workflows.ts';
import type { Database } from '../db/connect.ts';
import type { Engine } from '../engine/connect.ts';
import { workflowBundle } from '../workflows/bundle.ts';

/** What the control worker runs with. */
export interface ControlWorkerDeps {
  readonly db: Database;
  readonly engine: Engine;
  readonly logger: Logger;
  /** host:port on which the Temporal runtime serves its Prometheus metrics, or null for none. */
  readonly metricsAddress: string | null;
}

/** Pause before a worker that ended is made anew, in milliseconds. */
const RESTART_MS = 2_000;

/** Running control activities are short; this is how long they may take to end. */
const SHUTDOWN_FORCE = '5 seconds';

/**
 * Starts the worker that runs every workflow, and the activities beside them. It is made anew when it fails, so Temporal
 * may go away and come back.
 */
export async function startControlWorker(deps: ControlWorkerDeps): Promise<{ shutdown(): Promise<void> }> {
  const { db, engine, logger, metricsAddress } = deps;
  installRuntime(logger, metricsAddress);
  const codePath = await workflowBundle();
  const activities = createControlActivities({ db, client: engine.client });
  let stopping = false;
  let current: Worker | null = null;
  const stopped = new AbortController();

  const runOnce = async (): Promise<void> => {
    const connection = await NativeConnection.connect({ address: engine.address.address });
    try {
      current = await Worker.create({
        connection,
        namespace: engine.address.namespace,
        taskQueue: CONTROL_QUEUE,
        identity: `control plane (pid ${process.pid})`,
        workflowBundle: { codePath },
        activities,
        shutdownForceTime: SHUTDOWN_FORCE,
      });
      if (stopping) return;
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
        logger.warn({ reason: errorMessage(error) }, 'the control worker ended; it starts again');
      }
      if (!stopping) await sleep(RESTART_MS, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  })();

  return {
    shutdown: async () => {
      stopping = true;
      stopped.abort();
      if (current?.getState() === 'RUNNING') current.shutdown();
      await running;
    },
  };
}

let runtimeInstalled = false;

/** The SDK's runtime is one per process: its metrics for Prometheus, its log through ours. */
function installRuntime(logger: Logger, metricsAddress: string | null): void {
  if (runtimeInstalled) return;
  runtimeInstalled = true;
  const log = (level: 'debug' | 'info' | 'warn' | 'error') => (message: string, meta?: object) =>
    logger[level]({ ...meta }, message);
  Runtime.install({
    shutdownSignals: [],
    logger: {
      log: (level, message, meta) => log(level === 'ERROR' ? 'error' : 'debug')(message, meta),
      trace: log('debug'),
      debug: log('debug'),
      info: log('debug'),
      warn: log('warn'),
      error: log('error'),
    },
    ...(metricsAddress === null
      ? {}
      : { telemetryOptions: { metrics: { prometheus: { bindAddress: metricsAddress } } } }),
  });
}
