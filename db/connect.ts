import { callbackify } from 'node:util';
import { drizzle } from 'drizzle-orm/node-postgres';
import type { NodePgQueryResultHKT } from 'drizzle-orm/node-postgres';
import type { PgDatabase } from 'drizzle-orm/pg-core';
import { Pool, type PoolClient, type PoolConfig } from 'pg';
import * as schema from './schema.ts';
import { isReadOnly, translateDatabaseError } from './errors.ts';

/** What a query runs on: the pool, or the transaction it is part of. */
export type Executor = PgDatabase<NodePgQueryResultHKT, typeof schema>;

/** PostgreSQL, as queries use it. Both methods throw MembridgeError database_unavailable when the server is gone. */
export interface Database {
  /** Runs statements on any connection of the pool. */
  run<T>(work: (executor: Executor) => Promise<T>): Promise<T>;
  /** Runs statements in one transaction; a throw rolls it back. */
  transaction<T>(work: (tx: Executor) => Promise<T>): Promise<T>;
  readonly pool: Pool;
  close(): Promise<void>;
}

/** What connecting needs besides the address. */
interface ConnectOptions {
  /** Told of each connection that broke while idle; the pool replaces it by itself. */
  readonly onIdleError: (error: Error) => void;
  /** Connections at most; 10 unless told. */
  readonly max?: number;
}

/** How long getting a connection may take, in milliseconds. */
const CONNECT_TIMEOUT_MS = 5_000;
/** How long one statement may run, in milliseconds: the slowest of ours takes well under a second. */
const STATEMENT_TIMEOUT_MS = 15_000;

/**
 * Opens a pool. Nothing is contacted until the first query.
 * @param url a `postgresql://` address; its `sslmode` is honoured by the driver (managed PostgreSQL such as Neon needs it)
 */
export function connectDatabase(url: string, options: ConnectOptions): Database {
  const settings: PoolConfig = {
    connectionString: url,
    max: options.max ?? 10,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    verify: callbackify(limitStatements),
    // A server that hangs rather than closes would otherwise hold a request until TCP gives up.
    query_timeout: STATEMENT_TIMEOUT_MS + 1_000,
    keepAlive: true,
    application_name: 'membridge',
  };
  const pool = new Pool(settings);
  pool.on('error', options.onIdleError);
  // The pool listens to idle connections alone. One that breaks between two statements of a transaction would end the process; so the
  // next statement fails.
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
    transaction: (work) => translated(() => inTransaction(pool, work)),
    pool,
    close: () => pool.end(),
  };
}

/**
 * Limits how long a statement may run on a new connection. PgBouncer refuses the limit as a startup parameter, and a `set` through its
 * transaction pool would hold for somebody else's statements, so a connection through a pooler has the client's limit alone. A pooler
 * shows in the process id: it tells one of its own.
 */
async function limitStatements(client: PoolClient): Promise<void> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const { processID } = client as PoolClient & { processID?: number | null };
  if (rows[0]?.pid === processID) await client.query(`set statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
}

/** Runs a transaction. A connection to a server that has become read-only is closed: a new one may reach the new primary. */
async function inTransaction<T>(pool: Pool, work: (tx: Executor) => Promise<T>): Promise<T> {
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

/** The server's host and port for messages; never the password. */
function describeServer(url: string): string {
  try {
    const { hostname, port } = new URL(url);
    return `${hostname}:${port || '5432'}`;
  } catch {
    return 'DATABASE_URL';
  }
}
