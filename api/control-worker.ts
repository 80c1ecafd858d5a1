import type { Logger } from 'pino';
import type { Database } from '../db/connect.ts';
import type { Engine } from '../engine/connect.ts';

/** What the control worker runs with. */
export interface ControlWorkerDeps {
  readonly db: Database;
  readonly engine: Engine;
  readonly logger: Logger;
  /** host:port on which the Temporal runtime serves its Prometheus metrics, or null for none. */
  readonly metricsAddress: string | null;
}

/** Starts the worker of workflows and control activities. It does nothing yet. */
export async function startControlWorker(_deps: ControlWorkerDeps): Promise<{ shutdown(): Promise<void> }> {
  return await Promise.resolve({ shutdown: () => Promise.resolve() });
}
