import { callbackify } from 'node:util';
import { drizzle } from 'drizzle-orm/node-postgres';
import type { NodePgQueryResultHKT } from 'drizzle-orm/node-postgres';
import type { PgDatabase } from 'drizzle-orm/pg-core';
import { Pool, type PoolClient, type PoolConfig } from 'pg';
import * as schema from './schema.ts';
import { isReadOnly, translateDatabaseError } from './errors.ts';

/** The target of a query: the pool, or its transaction. */
export type Executor = PgDatabase<NodePgQueryResultHKT, typeof schema>;

/**
 * PostgreSQL, as queries use it. Both methods throw MembridgeError database_unavailable when the server is
 * gone.
 */
export interface Database {
  /** Runs statements on any connection of the pool. */
  run<T>(work: (executor: Executor) => Promise<T>): Promise<T>;
  /** Runs statements in one transaction; an error rolls it back. */
  transaction<T>(work: (tx: Executor) => Promise<T>): Promise<T>;
  readonly pool: Pool;
  close(): Promise<void>;
}

/** Connection options besides the address. */
interface ConnectOptions {
  /** Called for each connection that broke while idle; the pool replaces it automatically. */
  readonly onIdleError: (error: Error) => void;
  /** Maximum number of connections; 10 by default. */
  readonly max?: number;
}

/** Time limit for getting a connection, in milliseconds. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Time limit for a statement, in milliseconds: our slowest one takes well under a second. */
const STATEMENT_TIMEOUT_MS = 15_000;

/**
 * Opens a pool. Contacts nothing before the first query.
 * @param url a `postgresql://` address; the driver honors its `sslmode` (managed PostgreSQL such as Neon
 * needs it)
 */
export function connectDatabase(url: string, options: ConnectOptions): Database {
  const settings: PoolConfig = {
    connectionString: url,
    max: options.max ?? 10,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    verify: callbackify(limitStatements),
    // Otherwise a server that hangs instead of closing would block a request until TCP gives up.
    query_timeout: STATEMENT_TIMEOUT_MS + 1_000,
    keepAlive: true,
    application_name: 'membridge',
  };
  const pool = new Pool(settings);
  pool.on('error', options.onIdleError);
  // The pool only listens to idle connections. One that breaks between two statements of a transaction would
  // end the process; with this listener the next statement fails instead.
  pool.on('connect', (client) => client.on('error', () => undefined));
  const orm = drizzle(pool, { schema });
  const where = describeServer(url);
  const translated = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw translateDatabaseError(error, where);
    }
  };
  return {
    run: (work) => translated(() => work(orm)),
    transaction: (work) => translated(() => runTransaction(pool, work)),
    pool,
    close: () => pool.end(),
  };
}

/**
 * Limits how long a statement may run on a new connection. PgBouncer refuses the limit as a startup
 * parameter, and a `set` through its transaction pool would affect other clients. Therefore, a connection
 * through a pooler has only the client's limit. A pooler is recognized by the process id: it reports its own.
 */
async function limitStatements(client: PoolClient): Promise<void> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const { processID } = client as PoolClient & { processID?: number | null };
  if (rows[0]?.pid === processID) await client.query(`set statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
}

/**
 * Runs a transaction. Closes a connection to a server that has become read-only, because a new one may reach
 * the new primary.
 */
async function runTransaction<T>(pool: Pool, work: (tx: Executor) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let isUseless = false;
  try {
    return await drizzle(client, { schema }).transaction((tx) => work(tx));
  } catch (error) {
    isUseless = isReadOnly(error);
    throw error;
  } finally {
    client.release(isUseless);
  }
}

/** Returns the server's host and port for messages; never the password. */
function describeServer(url: string): string {
  try {
    const { hostname, port } = new URL(url);
    return `${hostname}:${port || '5432'}`;
  } catch {
    return 'DATABASE_URL';
  }
}
