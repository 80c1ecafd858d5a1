import { Runtime } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createControlActivities } from '../activities/control/index.ts';
import type { WebhookAccess } from '../activities/control/webhooks.ts';
import { errorMessage } from '../contract/errors.ts';
import { CONTROL_QUEUE } from '../contract/workflows.ts';
import type { Database } from '../db/connect.ts';
import type { Engine } from '../engine/connect.ts';
import { keepWorker, type KeptWorker } from '../engine/keep-worker.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { workflowBundle } from '../workflows/bundle.ts';

/** What the control worker needs. */
export interface ControlWorkerDeps {
  readonly db: Database;
  readonly engine: Engine;
  readonly store: ObjectStore;
  readonly gitHosts: readonly string[];
  readonly webhooks: WebhookAccess;
  readonly logger: Logger;
  /** host:port on which the Temporal runtime serves its Prometheus metrics, or null for none. */
  readonly metricsAddress: string | null;
}

/** How long workflows of a killed control plane wait before another one continues them (the default is 10 s). */
const STICKY_WITHIN = '3 seconds';

/** Control activities are short; this is how long running ones may take to end. */
const SHUTDOWN_FORCE = '5 seconds';

/** Starts the worker that runs every workflow and the control-plane activities. */
export async function startControlWorker(deps: ControlWorkerDeps): Promise<KeptWorker> {
  const { db, engine, store, gitHosts, webhooks, logger, metricsAddress } = deps;
  installRuntime(logger, metricsAddress);
  const codePath = await workflowBundle();
  return keepWorker(
    engine.address,
    {
      taskQueue: CONTROL_QUEUE,
      identity: `control plane (pid ${process.pid})`,
      workflowBundle: { codePath },
      activities: createControlActivities({ db, store, gitHosts, webhooks, client: engine.client }),
      shutdownForceTime: SHUTDOWN_FORCE,
      stickyQueueScheduleToStartTimeout: STICKY_WITHIN,
    },
    {
      polls: () => logger.debug('the control worker polls'),
      ended: (reason) =>
        logger.warn({ reason: errorMessage(reason) }, 'the control worker ended; it starts again'),
    },
  );
}

let runtimeInstalled = false;

/** Installs the SDK's runtime, one per process: its metrics for Prometheus, its log through ours. */
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
