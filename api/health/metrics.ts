import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Logger } from 'pino';
import { errorMessage } from '../../contract/errors.ts';
import { memoryStateAt } from '../../contract/memory/sync-state.ts';
import type { Database } from '../../db/connect.ts';
import { countJobsByStatus } from '../../db/queries/count-jobs-by-status.ts';
import { listNodes } from '../../db/queries/list-nodes.ts';
import { listSpaces } from '../../db/queries/list-spaces.ts';
import { statesOf } from '../spaces/space-states.ts';

/** The control plane's Prometheus metrics. */
export interface Metrics {
  readonly httpSeconds: Histogram<'method' | 'route' | 'status'>;
  readonly sseClients: Gauge;
  /** Bytes of objects that nodes sent (`up`) and received (`down`). */
  readonly agentStoreBytes: Counter<'node' | 'direction'>;
  readonly agentStoreRequests: Counter<'node' | 'method' | 'outcome'>;
  /** Renders all metrics as Prometheus text, including the Temporal worker's own when its address is known. */
  render(): Promise<string>;
}

/** How long reading the worker's metrics may take, in milliseconds. */
const WORKER_METRICS_DEADLINE_MS = 2_000;

/** Makes the metrics of one control plane in their own registry. */
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
  const agentStoreBytes = new Counter({
    name: 'membridge_agent_store_bytes_total',
    help: 'Bytes of objects that nodes sent (up) and got (down) through the control plane',
    labelNames: ['node', 'direction'] as const,
    registers,
  });
  const agentStoreRequests = new Counter({
    name: 'membridge_agent_store_requests_total',
    help: 'Requests of nodes for objects, by how they ended: ok, or the code of the error',
    labelNames: ['node', 'method', 'outcome'] as const,
    registers,
  });
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
  const memoryStates = new Gauge({
    name: 'membridge_memory_state',
    help: 'The state of the memory of each node: 1 for the state that it has. Anything but "ready" needs attention or time',
    labelNames: ['node', 'state'] as const,
    registers,
  });
  const spaceStates = new Gauge({
    name: 'membridge_space_node_state',
    help: 'The state of each node in each space: 1 for the state that it has. Anything but "in-step" needs attention or time',
    labelNames: ['space', 'node', 'state'] as const,
    registers,
  });
  const showStates = async (): Promise<void> => {
    const now = Date.now();
    const [spaces, nodes] = await Promise.all([listSpaces(db), listNodes(db, { now })]);
    memoryStates.reset();
    spaceStates.reset();
    for (const node of nodes) {
      const { state } = memoryStateAt(node.memory, node.last_heartbeat, now);
      memoryStates.set({ node: node.id, state }, 1);
    }
    const enrolled = new Set(nodes.map(({ id }) => id));
    for (const space of statesOf(spaces, nodes, now)) {
      for (const { node_id: node, status } of space.nodes) {
        if (enrolled.has(node)) spaceStates.set({ space: space.name, node, state: status }, 1);
      }
    }
  };
  const missing = (source: string, error: unknown): void => {
    failures.inc({ source });
    logger.warn({ source, reason: errorMessage(error) }, 'metrics are incomplete');
  };
  return {
    httpSeconds,
    sseClients,
    agentStoreBytes,
    agentStoreRequests,
    render: async () => {
      jobs.reset();
      const counts = await countJobsByStatus(db).catch((error: unknown) => {
        missing('postgresql', error);
        return [];
      });
      for (const row of counts) jobs.set({ status: row.status }, row.jobs);
      // Outdated states would be worse than none.
      await showStates().catch((error: unknown) => {
        memoryStates.reset();
        spaceStates.reset();
        missing('states', error);
      });
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
