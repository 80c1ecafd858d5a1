import type { Logger } from 'pino';
import type { Database } from '../db/connect.ts';
import type { Engine } from '../engine/connect.ts';
import type { EngineGateway } from '../gateway/gateway.ts';
import type { NodeCalls } from '../gateway/node-calls.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { StreamedObjects } from '../storage/streamed-objects.ts';
import type { Config } from './config.ts';
import type { EventHub } from './event-hub.ts';
import type { FailedSignIns } from './auth/failed-sign-ins.ts';
import type { HealthCheck } from './health/health.ts';
import type { Metrics } from './health/metrics.ts';
import type { RemoteClient } from './remote/client.ts';
import type { Transfers } from './store/transfers.ts';

/** What routes depend on. */
export interface Deps {
  readonly config: Config;
  readonly db: Database;
  readonly engine: Engine;
  readonly store: ObjectStore;
  /** The objects that nodes read and write through this control plane, and the limits on their transfers. */
  readonly agentStore: { readonly objects: StreamedObjects; readonly transfers: Transfers };
  readonly logger: Logger;
  readonly events: EventHub;
  readonly failures: FailedSignIns;
  /** Serves the engine tunnels of agents. */
  readonly gateway: EngineGateway;
  /** Passes calls of people on to nodes. */
  readonly calls: NodeCalls;
  readonly health: HealthCheck;
  readonly metrics: Metrics;
  /** The client of a remote control plane, where one is set. */
  readonly remote: RemoteClient;
  /** The pin that a new node must trust: of the authority of this server's own certificate, where no proxy ends TLS. */
  readonly serverPin: () => string | null;
  /** The control plane's clock, epoch ms. */
  readonly now: () => number;
  /** How long `POST /sync/push|pull` waits for its round, in milliseconds. */
  readonly syncWaitMs: number;
}
