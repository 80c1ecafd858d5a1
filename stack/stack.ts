/** PostgreSQL, MinIO and Temporal together: everything that Membridge depends on, on this machine or by address. */
import { existsSync, mkdirSync, realpathSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  externalDatabase,
  externalMinio,
  externalTemporal,
  type MinioAddress,
  type TemporalAddress,
} from './external.ts';
import { startMinio, type Minio } from './minio.ts';
import { choosePort } from './ports.ts';
import { postgresFolderOutside } from './postgres-home.ts';
import { startPostgres, type Postgres } from './postgres.ts';
import { loadStackSecrets } from './secrets.ts';
import { startTemporal, type Temporal } from './temporal.ts';
import { startTemporalServer } from './temporal-server.ts';
import { findTool } from './tools.ts';

export interface StackOptions {
  /** Holds all data, logs, pid records and secrets; created when missing. One stack runs per data directory. */
  dataDir: string;
  /** Ports on 127.0.0.1; 0 picks a free one. An absent one comes from MEMBRIDGE_*_PORT, or is the usual port. */
  ports?: { postgres?: number; minio?: number; temporal?: number; temporalUi?: number };
  env: NodeJS.ProcessEnv;
  /** Further settings of Temporal, each `key=value`. */
  temporalSettings?: readonly string[];
  log: (line: string) => void;
}

export interface Stack {
  /** For the owner of the database. */
  databaseUrl: string;
  /** For the role that may change neither the schema nor the audit log; only where PostgreSQL runs here. */
  runtimeDatabaseUrl?: string;
  temporal: TemporalAddress;
  minio: MinioAddress;
  /** Only the parts that run here. */
  parts: { postgres?: Postgres; minio?: Minio; temporal?: Temporal };
  stop(): Promise<void>;
}

/**
 * Starts every part for which the environment gives no address (DATABASE_URL, TEMPORAL_ADDRESS, MINIO_ENDPOINT), all
 * together. When one fails, the others are stopped again.
 * @throws the first failure
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { env, log, ports = {} } = options;
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  const dataDir = realpathSync(options.dataDir);
  const secrets = loadStackSecrets(dataDir);
  const [database, temporal, minio] = await Promise.all([
    externalDatabase(env),
    externalTemporal(env),
    externalMinio(env),
  ]);
  // One build after the other, before anything runs: each keeps all cores busy for minutes, the first time.
  const temporalTool = chooseTemporalProgram(env);
  const temporalProgram = temporal ? '' : await findTool(temporalTool, log);
  const minioProgram = minio ? '' : await findTool('minio', log);
  const parts: Stack['parts'] = {};

  const upPostgres = async (): Promise<string> => {
    if (database !== undefined) return database;
    const port = await choosePort(ports.postgres, 'MEMBRIDGE_POSTGRES_PORT', env, 54_329);
    parts.postgres = await startPostgres({ dataDir, port, password: secrets.postgresPassword, log });
    return parts.postgres.databaseUrl;
  };
  const upMinio = async (): Promise<MinioAddress> => {
    if (minio !== undefined) return minio;
    const keys = { accessKey: secrets.minioAccessKey, secretKey: secrets.minioSecretKey };
    const port = await choosePort(ports.minio, 'MEMBRIDGE_MINIO_PORT', env, 9_000);
    parts.minio = await startMinio({ dataDir, port, ...keys, log, program: minioProgram });
    return { endpoint: parts.minio.endpoint, ...keys };
  };
  const upTemporal = async (): Promise<TemporalAddress> => {
    if (temporal !== undefined) return temporal;
    const port = await choosePort(ports.temporal, 'MEMBRIDGE_TEMPORAL_PORT', env, 7_233);
    const metricsPort = await choosePort(undefined, 'MEMBRIDGE_TEMPORAL_METRICS_PORT', env, 0);
    const common = {
      dataDir,
      port,
      metricsPort,
      ...(options.temporalSettings === undefined ? {} : { settings: options.temporalSettings }),
      log,
      program: temporalProgram,
    };
    if (temporalTool === 'temporal-server') {
      parts.temporal = await startTemporalServer({ ...common, databaseUrl: await postgres });
      return { address: parts.temporal.address, namespace: 'default', uiUrl: '' };
    }
    // Only a requested port is at an address that others can know.
    const wanted = ports.temporalUi ?? (env['MEMBRIDGE_TEMPORAL_UI_PORT'] || '0');
    const isAsked = Number(wanted) !== 0;
    const uiPort = isAsked ? await choosePort(ports.temporalUi, 'MEMBRIDGE_TEMPORAL_UI_PORT', env, 0) : 0;
    parts.temporal = await startTemporal({ ...common, uiPort });
    return { address: parts.temporal.address, namespace: 'default', uiUrl: parts.temporal.uiUrl };
  };
  const stop = async (): Promise<void> => {
    await Promise.all(Object.values(parts).map((part) => part.stop()));
  };

  const postgres = upPostgres();
  const starting = [postgres, upTemporal(), upMinio()] as const;
  try {
    const [databaseUrl, temporal, minio] = await Promise.all(starting);
    const stack: Stack = { databaseUrl, temporal, minio, parts, stop };
    if (parts.postgres) stack.runtimeDatabaseUrl = withRole(databaseUrl, secrets.postgresRuntimePassword);
    return stack;
  } catch (error) {
    await Promise.allSettled(starting);
    await stop();
    throw error;
  }
}

/**
 * Returns which Temporal runs here: the program of its development server, or of its production server with tables in
 * the stack's PostgreSQL.
 * @throws when MEMBRIDGE_TEMPORAL_ENGINE is neither `development` nor `server`
 */
export function chooseTemporalProgram(env: NodeJS.ProcessEnv): 'temporal' | 'temporal-server' {
  const engine = env.MEMBRIDGE_TEMPORAL_ENGINE || 'development';
  if (engine === 'development') return 'temporal';
  if (engine === 'server') return 'temporal-server';
  throw new Error(`MEMBRIDGE_TEMPORAL_ENGINE is "${engine}"; it must be "development" or "server".`);
}

/** Returns the address of the same database for the role of the control plane, which makes that role at its start. */
function withRole(databaseUrl: string, password: string): string {
  const url = new URL(databaseUrl);
  url.username = 'membridge_runtime';
  url.password = password;
  return url.href;
}

/** Removes a stack's data for good, including PostgreSQL's where that lies outside. The stack must be stopped. */
export function removeStackData(dataDir: string): void {
  if (!existsSync(dataDir)) return;
  rmSync(dirname(postgresFolderOutside(realpathSync(dataDir))), { recursive: true, force: true });
  rmSync(dataDir, { recursive: true, force: true });
}
