/**
 * Temporal's production server on loopback, with its tables in the stack's PostgreSQL: the setup of
 * docker-compose.yml, without Docker.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { freePort, requireFreePort } from './ports.ts';
import { startService } from './service.ts';
import { dynamicConfig, probeTemporal, type Temporal } from './temporal.ts';
import { findTool } from './tools.ts';

export interface TemporalServerOptions {
  dataDir: string;
  /** The port of its frontend on 127.0.0.1; 0 picks a free one. */
  port: number;
  /** The owner of a PostgreSQL in which the databases `temporal` and `temporal_visibility` are made. */
  databaseUrl: string;
  /** The port of its Prometheus metrics; 0 or absent for none. */
  metricsPort?: number;
  /** Further settings of its dynamic configuration, each `key=value`. */
  settings?: readonly string[];
  log: (line: string) => void;
  /** The server program; found, or built, by default. */
  program?: string;
}

/** The databases, and the schema of each in the program that makes their tables. */
const DATABASES = { temporal: 'postgresql/v12/temporal', temporal_visibility: 'postgresql/v12/visibility' };

const SERVICES = ['frontend', 'history', 'matching', 'worker'] as const;

/** How long ended workflows are kept, as in deploy/temporal/create-namespace.sh. */
const RETENTION = '72 hours';

/**
 * Starts Temporal's server on 127.0.0.1. The first time it makes its databases, its tables and the namespace
 * `default`. It has no web page.
 * @throws when the port is taken, its tables cannot be made, or it does not start (quoting its log)
 */
export async function startTemporalServer(options: TemporalServerOptions): Promise<Temporal> {
  const { dataDir, databaseUrl, metricsPort = 0, settings = [], log } = options;
  const port = options.port || (await freePort());
  const address = `127.0.0.1:${port}`;
  const program = options.program ?? (await findTool('temporal-server', log));
  const folder = join(dataDir, 'temporal-server');
  const configFile = join(folder, 'config.yaml');
  return startService(
    {
      name: 'temporal',
      dataDir,
      prepare: async () => {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        await requireFreePort(port, 'Temporal', 'MEMBRIDGE_TEMPORAL_PORT');
        if (metricsPort) {
          await requireFreePort(metricsPort, "Temporal's metrics", 'MEMBRIDGE_TEMPORAL_METRICS_PORT');
        }
        await makeTables(join(dirname(program), 'sql'), databaseUrl);
        const dynamicFile = join(folder, 'dynamicconfig.yaml');
        // JSON is YAML. It holds the database's password.
        const config = await serverConfig({ databaseUrl, port, metricsPort, dynamicFile });
        writeFileSync(configFile, JSON.stringify(config, null, 2), { mode: 0o600 });
        writeFileSync(dynamicFile, JSON.stringify(dynamicValues([...dynamicConfig, ...settings]), null, 2));
      },
      command: () => ({
        file: program,
        args: ['--config-file', configFile, '--allow-no-auth', 'start'],
        env: { PATH: process.env.PATH },
      }),
      probe: () => ensureNamespace(address),
    },
    { address, uiUrl: '', port, uiPort: 0 },
  );
}

/** Makes the databases and their tables, or migrates the tables. */
async function makeTables(program: string, databaseUrl: string): Promise<void> {
  const { hostname, port, username, password } = new URL(databaseUrl);
  const run = async (database: string, ...args: string[]): Promise<void> => {
    const where = ['--plugin', 'postgres12', '--endpoint', hostname, '--port', port, '--user', username];
    await promisify(execFile)(program, [...where, '--database', database, ...args], {
      env: { PATH: process.env.PATH, SQL_PASSWORD: decodeURIComponent(password) },
    });
  };
  for (const [database, schema] of Object.entries(DATABASES)) {
    // Each step does nothing where it was done before.
    await run(database, 'create-database');
    await run(database, 'setup-schema', '--version', '0.0');
    await run(database, 'update-schema', '--schema-name', schema);
  }
}

/** Returns the server's configuration: four services in one process, on loopback. */
async function serverConfig(input: {
  databaseUrl: string;
  port: number;
  metricsPort: number;
  dynamicFile: string;
}): Promise<Record<string, unknown>> {
  const { host, username, password } = new URL(input.databaseUrl);
  const store = (databaseName: string, maxConns: number): unknown => ({
    sql: {
      pluginName: 'postgres12',
      databaseName,
      connectAddr: host,
      connectProtocol: 'tcp',
      user: username,
      password: decodeURIComponent(password),
      // Each of the four services has its own pool.
      maxConns,
      maxIdleConns: maxConns,
      maxConnLifetime: '1h',
    },
  });
  const services: Record<string, unknown> = {};
  for (const name of SERVICES) {
    const grpcPort = name === 'frontend' ? input.port : await freePort();
    services[name] = { rpc: { grpcPort, membershipPort: await freePort(), bindOnLocalHost: true } };
  }
  return {
    log: { stdout: true, level: 'warn' },
    persistence: {
      defaultStore: 'default',
      visibilityStore: 'visibility',
      numHistoryShards: 4,
      datastores: { default: store('temporal', 15), visibility: store('temporal_visibility', 5) },
    },
    global: {
      membership: { maxJoinDuration: '30s', broadcastAddress: '127.0.0.1' },
      ...(input.metricsPort && {
        metrics: { prometheus: { listenAddress: `127.0.0.1:${input.metricsPort}`, timerType: 'histogram' } },
      }),
    },
    services,
    clusterMetadata: {
      enableGlobalNamespace: false,
      failoverVersionIncrement: 10,
      masterClusterName: 'active',
      currentClusterName: 'active',
      clusterInformation: {
        active: {
          enabled: true,
          initialFailoverVersion: 1,
          rpcName: 'frontend',
          rpcAddress: `127.0.0.1:${input.port}`,
        },
      },
    },
    dcRedirectionPolicy: { policy: 'noop' },
    publicClient: { hostPort: `127.0.0.1:${input.port}` },
    dynamicConfigClient: { filepath: input.dynamicFile, pollInterval: '10s' },
  };
}

/** Converts `key=value` settings into the form of the server's file. */
function dynamicValues(settings: readonly string[]): Record<string, [{ value: unknown }]> {
  return Object.fromEntries(
    settings.map((setting) => {
      const [key = '', ...value] = setting.split('=');
      return [key, [{ value: JSON.parse(value.join('=')) as unknown }]];
    }),
  );
}

/**
 * Tries once to find the namespace `default`, and makes it where it is missing.
 * @throws when the server does not answer yet, or does not know the namespace yet
 */
async function ensureNamespace(address: string): Promise<void> {
  try {
    await probeTemporal(address, 'default');
  } catch (error) {
    if (!/not found/i.test(String(error))) throw error;
    const connection = await Connection.connect({ address });
    try {
      await connection.workflowService.registerNamespace({
        namespace: 'default',
        workflowExecutionRetentionPeriod: msToTs(RETENTION),
      });
    } finally {
      await connection.close();
    }
    // The next try finds it once the server knows it.
    throw error;
  }
}
