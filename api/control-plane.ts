import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { MembridgeError, errorMessage } from '../contract/errors.ts';
import { connectDatabase } from '../db/connect.ts';
import { prepareRuntimeRole } from '../db/runtime-role.ts';
import { migrateDatabase } from '../db/migrate.ts';
import { announceOfflineNodes } from '../db/queries/announce-offline-nodes.ts';
import { listSpaceConfigs } from '../db/queries/list-space-configs.ts';
import { connectEngine, prepareSearchAttributes, type SearchAttributes } from '../engine/connect.ts';
import { listLeaderships } from '../db/queries/record-leadership.ts';
import { ensureLeadership } from '../engine/leadership-workflows.ts';
import { ensureMemorySpace, moveToWaves } from '../engine/memory-workflows.ts';
import { ensureBucket, openObjectStore } from '../storage/object-store.ts';
import { openStreamedObjects } from '../storage/streamed-objects.ts';
import { watchAudit } from './audit/chain.ts';
import { recordFailedKeys } from './audit/failed-keys.ts';
import { createApp } from './http/app.ts';
import { withoutBasePath } from './http/base-path.ts';
import { limitBodyTime } from './http/body-time.ts';
import type { Config } from './config.ts';
import { startControlWorker } from './control-worker.ts';
import type { Deps } from './deps.ts';
import { callEngine } from './engine/engine-calls.ts';
import { listProjects } from '../db/queries/list-projects.ts';
import { applySchedules } from './projects/change.ts';
import { NodeCalls } from '../gateway/node-calls.ts';
import { openGateway } from './engine/engine-gateway.ts';
import { openEventHub } from './event-hub.ts';
import { FailedSignIns } from './auth/failed-sign-ins.ts';
import { createHealthCheck } from './health/health.ts';
import { createMetrics } from './health/metrics.ts';
import { followKeys, keyLookup } from './nodes/follow-keys.ts';
import { watchProjects } from './projects/watch.ts';
import { watchProposals } from './proposals/sweep.ts';
import { createRemoteClient } from './remote/client.ts';
import { watchRemote } from './remote/watch.ts';
import { readWebhookSecret } from './tasks/webhook-secret.ts';
import { listTaskSchedules } from '../db/queries/task-schedules.ts';
import { applyTaskSchedule } from './tasks/schedules.ts';
import { TRANSFER_LIMITS, Transfers, type TransferLimits } from './store/transfers.ts';
import { watchMemory } from './spaces/watch-memory.ts';
import { watchTasks } from './tasks/watch.ts';
import { openPair, type KeptPair } from './tls/kept-pair.ts';
import { retryAtStart } from './retry-at-start.ts';
import { Starting, createStartingApp } from './http/starting.ts';
import { endStreams } from './http/sse.ts';
import { answerUpgrade, isWebSocket } from './http/upgrades.ts';

/** How long an idle connection stays open, in milliseconds: longer than the 60 s of nginx and the two minutes of Caddy. */
const KEEP_ALIVE_MS = 130_000;

/** A running control plane. */
export interface ControlPlane {
  /** Where it listens: `http://127.0.0.1:8000`, or with https. */
  readonly url: string;
  readonly deps: Deps;
  /** Finishes running requests, ends streams and the worker, and closes every connection. */
  stop(): Promise<void>;
}

/** How often silent nodes are searched for, in milliseconds. */
const OFFLINE_CHECK_MS = 5_000;
/** How long running requests may take to end at a stop, in milliseconds. */
const STOP_GRACE_MS = 10_000;
/** How long `POST /sync/push|pull` waits, in milliseconds: the original's time-out. */
const SYNC_WAIT_MS = 60_000;

/** Settings that tests change. */
export interface StartOptions {
  /** How long `POST /sync/push|pull` waits, in milliseconds. */
  readonly syncWaitMs?: number;
  readonly transferLimits?: TransferLimits;
}

/**
 * Starts a control plane: schema, Temporal, bucket, worker, the workflow of every space, then the API. Its port is
 * open from the beginning. Until everything is there, every request gets 503 with what the server waits for.
 * @throws Error naming the part that is absent or the setting that is wrong
 */
export async function startControlPlane(
  config: Config,
  logger: Logger,
  options: StartOptions = {},
): Promise<ControlPlane> {
  const closers: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) {
      await Promise.resolve(close()).catch((error: unknown) => logger.warn({ err: error }, 'stopping'));
    }
  };
  const starting = new Starting();
  let answer: RequestListener = createStartingApp(config, logger, starting);
  const listener: RequestListener = (req, res) => {
    req.url = withoutBasePath(req.url ?? '/', config.basePath, req.headers.accept ?? '');
    limitBodyTime(req, res);
    answer(req, res);
  };
  const tls = config.tls === null ? null : openPair(config.tls, logger);
  const server = openServer(listener, tls);
  server.on('upgrade', (req, socket, head) => answerUpgrade(listener, req, socket, head));
  // By default Node closes an idle connection after 5 s. A proxy or client that keeps it for a minute could send a
  // request into a closed one.
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.headersTimeout = KEEP_ALIVE_MS + 5_000;
  // limitBodyTime replaces it.
  server.requestTimeout = 0;
  try {
    await listen(server, config);
    closers.push(() => closeServer(server));
    closers.push(() => tls?.stop());
    const serverPin = (): string | null => (config.trustProxy === 0 ? (tls?.pair.caPin ?? null) : null);
    const deps = { ...(await openDeps(config, { logger, starting }, options, closers)), serverPin };
    const { db, engine, store } = deps;
    const worker = await startControlWorker({
      db,
      engine,
      store,
      gitHosts: config.gitHosts,
      webhooks: {
        hosts: config.webhookHosts,
        secret: async () => (await readWebhookSecret(deps)).secret,
      },
      logger,
      metricsAddress: config.workerMetricsAddress,
    });
    closers.push(() => worker.stop());
    starting.waitFor('the workflows of spaces, projects and schedules (TEMPORAL_ADDRESS)');
    for (const space of await listSpaceConfigs(db)) {
      await callEngine(engine, (client) => ensureMemorySpace(client, space));
      await callEngine(engine, (client) => moveToWaves(client, space.cid));
    }
    await resumeProjects(deps);
    answer = createApp(deps);
    const watch = setInterval(() => void watchNodes(deps), OFFLINE_CHECK_MS);
    if (!config.roles.has('control')) closers.push(watchRemote(deps));
    closers.push(
      watchProjects(deps),
      watchProposals(deps),
      watchTasks(deps),
      watchAudit(deps),
      watchMemory(deps),
      () => {
        endStreams(deps.events);
        deps.gateway.close();
        deps.calls.close();
        return closeServer(server);
      },
      () => clearInterval(watch),
    );
    const { port } = server.address() as AddressInfo;
    const host = config.host.includes(':') ? `[${config.host}]` : config.host;
    return { url: `${tls === null ? 'http' : 'https'}://${host}:${port}`, deps, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function openDeps(
  config: Config,
  waiting: { logger: Logger; starting: Starting },
  { syncWaitMs = SYNC_WAIT_MS, transferLimits = TRANSFER_LIMITS }: StartOptions,
  closers: (() => unknown)[],
): Promise<Omit<Deps, 'serverPin'>> {
  const { logger, starting } = waiting;
  const onIdleError = (error: Error): void =>
    logger.warn({ reason: error.message }, 'a PostgreSQL connection broke');
  const db = connectDatabase(config.databaseUrl, { onIdleError });
  closers.push(() => db.close());
  if (config.databaseOwnerUrl === null) {
    await retryAtStart('PostgreSQL (DATABASE_URL)', waiting, () => migrateDatabase(db));
  } else {
    const owner = connectDatabase(config.databaseOwnerUrl, { onIdleError, max: 2 });
    try {
      await retryAtStart('PostgreSQL (DATABASE_OWNER_URL)', waiting, async () => {
        await migrateDatabase(owner);
        await prepareRuntimeRole(owner, config.databaseUrl);
      });
    } finally {
      await owner.close();
    }
  }
  const engine = await retryAtStart('Temporal (TEMPORAL_ADDRESS)', waiting, () =>
    connectEngine(config.engine),
  );
  closers.push(() => engine.close());
  const attributes = await retryAtStart('Temporal (TEMPORAL_ADDRESS)', waiting, () =>
    prepareSearchAttributes(engine, (reason) => starting.waitFor('Temporal (TEMPORAL_ADDRESS)', reason)),
  );
  if (attributes.absent !== null) warnOfAttributes(logger, config, attributes.absent);
  await retryAtStart('The object store (MINIO_ENDPOINT)', waiting, () => ensureBucket(config.store));
  const store = openObjectStore(config.store);
  closers.push(() => store.close());
  const objects = openStreamedObjects(config.store);
  closers.push(() => objects.close());
  const agentStore = { objects, transfers: new Transfers(transferLimits) };
  const events = await openEventHub(config.databaseDirectUrl ?? config.databaseUrl, db, logger);
  closers.push(() => events.close());
  const now = Date.now;
  const remote = createRemoteClient();
  const health = createHealthCheck({ config, db, engine, attributes, remote, now });
  closers.push(() => health.close());
  const metrics = createMetrics(db, logger, config.workerMetricsAddress);
  const failures = new FailedSignIns(config, recordFailedKeys({ db, logger, now }));
  closers.push(() => failures.stop());
  const gateway = openGateway({ config, db, events, logger, now });
  closers.push(() => gateway.close());
  const calls = new NodeCalls(keyLookup({ db, logger }));
  followKeys({ events }, calls);
  closers.push(() => calls.close());
  return {
    config,
    db,
    engine,
    store,
    agentStore,
    logger,
    events,
    failures,
    gateway,
    calls,
    health,
    metrics,
    remote,
    now,
    syncWaitMs,
  };
}

function warnOfAttributes(
  logger: Logger,
  config: Config,
  absent: NonNullable<SearchAttributes['absent']>,
): void {
  logger.warn(
    { namespace: config.engine.namespace, attributes: absent.names, reason: absent.reason },
    'Temporal did not add the search attributes. Everything works without them, but workflows cannot be searched by them. Remove ' +
      'attributes that nobody uses, or give Membridge its own namespace (TEMPORAL_NAMESPACE), and restart it.',
  );
}

/** Makes the server: with a certificate, it speaks only HTTPS. A replaced certificate leaves open connections alone. */
function openServer(listener: RequestListener, tls: KeptPair | null): Server {
  // Other upgrades are offers that HTTP allows a server to ignore, such as curl's offer of HTTP/2.
  const options = { shouldUpgradeCallback: isWebSocket };
  if (tls === null) return createServer(options, listener);
  const { cert, key } = tls.pair;
  const server = createTlsServer({ ...options, cert, key }, listener);
  tls.watch((pair) => server.setSecureContext({ cert: pair.cert, key: pair.key }));
  return server;
}

async function listen(server: Server, config: Config): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const where = `${config.host}:${config.port} (MEMBRIDGE_HOST, MEMBRIDGE_PORT)`;
      reject(new Error(`Cannot listen on ${where}: ${cause.message}`, { cause }));
    });
    server.listen(config.port, config.host, resolve);
  });
}

/** Resumes leaderships and schedules from PostgreSQL. A failure of one must not stop the others. */
async function resumeProjects(deps: Deps): Promise<void> {
  const { db, engine, logger, now } = deps;
  const resume = async (what: object, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (error instanceof MembridgeError && error.code === 'engine_unavailable') throw error;
      logger.warn({ ...what, reason: errorMessage(error) }, 'could not be resumed');
    }
  };
  for (const known of await listLeaderships(db, { now: now() })) {
    if (known.primary_node_id === null) continue;
    await resume({ leadership: known.canonical_id }, () =>
      callEngine(engine, (client) => ensureLeadership(client, known)),
    );
  }
  for (const project of await listProjects(db)) {
    await resume({ project: project.id }, () => applySchedules(deps, project));
  }
  for (const row of await listTaskSchedules(db)) {
    await resume({ schedule: row.id }, () => applyTaskSchedule(deps, row));
  }
}

/** Announces nodes that went silent to browsers. */
async function watchNodes({ db, logger, now }: Deps): Promise<void> {
  try {
    const gone = await announceOfflineNodes(db, { now: now() });
    if (gone.length > 0) logger.info({ nodes: gone }, 'nodes went silent');
  } catch (error) {
    logger.warn({ reason: errorMessage(error) }, 'nodes could not be watched');
  }
}

/** Finishes running requests, and closes every connection. A server that is closed already is fine. */
async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const force = setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS);
  await closed;
  clearTimeout(force);
}
