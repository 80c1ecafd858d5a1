import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import { Client } from 'pg';
import type { Database } from './connect.ts';
import { translateDatabaseError } from './errors.ts';

const MIGRATIONS = fileURLToPath(new URL('./migrations', import.meta.url));

/** The advisory lock for migrations; a fixed number used for nothing else here. */
const MIGRATION_LOCK = 7_305_801;

/**
 * Migrates the database to the newest schema. Processes that start together take turns; a current database is
 * left alone.
 * @throws MembridgeError database_unavailable when the server is gone
 */
export async function migrateDatabase(db: Database): Promise<void> {
  // The lock is held by a separate transaction, so it also works behind a transaction pooler.
  const holder = await db.pool.connect().catch((error: unknown) => {
    throw translateDatabaseError(error, 'start');
  });
  let broken: Error | undefined;
  try {
    await holder.query('begin');
    // Waiting for another process's migrations may exceed the usual statement limit.
    await holder.query('set local statement_timeout = 0');
    await holder.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await migrateAlone(db);
    await holder.query('commit');
  } catch (error) {
    broken = error instanceof Error ? error : new Error(String(error));
    throw translateDatabaseError(error, 'start');
  } finally {
    holder.release(broken);
  }
}

/**
 * Migrates on a connection without the pool's time limits: an index on a large table takes longer than any
 * query of ours.
 */
async function migrateAlone({ pool }: Database): Promise<void> {
  const client = new Client({ connectionString: pool.options.connectionString, keepAlive: true });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await migrate(drizzle(client), { migrationsFolder: MIGRATIONS });
  } finally {
    await client.end();
  }
}
