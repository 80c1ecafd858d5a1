import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Logger } from 'pino';
import { errorMessage } from '../contract/errors.ts';
import type { Database } from '../db/connect.ts';
import { countJobsByStatus } from '../db/queries/count-jobs-by-status.ts';

/** The control plane's Prometheus metrics. */
export interface Metrics {
  readonly httpSeconds: Histogram<'method' | 'route' | 'status'>;
  readonly sseClients: Gauge;
  /** All metrics as Prometheus text, the Temporal worker's own included when its address is known. */
  render(): Promise<string>;
}

/** How long the worker's metrics may take, in milliseconds. */
const WORKER_METRICS_DEADLINE_MS = 2_000;

/** Makes the metrics of one control plane in a registry of their own. */
export function createMetrics(db: Database, logger: Logger, workerMetricsAddress: string | null): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const httpSeconds = new Histogram({
    name: 'membridge_http_request_seconds',
    help: 'Time to answer a request, by route; streams are not counted',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60],
    registers,
  });
  const sseClients = new Gauge({ name: 'membridge_sse_clients', help: 'Open event streams', registers });
  const failures = new Counter({
    name: 'membridge_metrics_source_failures_total',
    help: 'Times that a source of metrics could not be read',
    labelNames: ['source'] as const,
    registers,
  });
  const jobs = new Gauge({
    name: 'membridge_jobs',
    help: 'Sync jobs in the history, by status',
    labelNames: ['status'] as const,
    registers,
  });
  const missing = (source: string, error: unknown): void => {
    failures.inc({ source });
    logger.warn({ source, reason: errorMessage(error) }, 'metrics are incomplete');
  };
  return {
    httpSeconds,
    sseClients,
    render: async () => {
      jobs.reset();
      const counts = await countJobsByStatus(db).catch((error: unknown) => {
        missing('postgresql', error);
        return [];
      });
      for (const row of counts) jobs.set({ status: row.status }, row.jobs);
      const worker =
        workerMetricsAddress === null ? '' : await readWorkerMetrics(workerMetricsAddress, missing);
      return (await registry.metrics()) + worker;
    },
  };
}

async function readWorkerMetrics(
  address: string,
  missing: (source: string, error: unknown) => void,
): Promise<string> {
  try {
    const response = await fetch(`http://${address}/metrics`, {
      signal: AbortSignal.timeout(WORKER_METRICS_DEADLINE_MS),
    });
    if (!response.ok) throw new Error(`${address} answered ${response.status}`);
    return await response.text();
  } catch (error) {
    missing('temporal-worker', error);
    return '';
  }
}
