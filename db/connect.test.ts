import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { freshDatabase } from '../test/control-plane.ts';
import { connectDatabase, type Database } from './connect.ts';

let fresh: Awaited<ReturnType<typeof freshDatabase>>;
let db: Database;

beforeAll(async () => {
  fresh = await freshDatabase(inject('parts').databaseUrl);
  db = connectDatabase(fresh.url, { onIdleError: () => undefined });
});
afterAll(async () => {
  await db.close();
  await fresh.drop();
});

it('a connection that breaks between two statements of a transaction fails the transaction, and nothing else', async () => {
  const work = db.transaction(async (tx) => {
    const { rows } = await tx.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`);
    const [held] = rows;
    // As PostgreSQL does when it is stopped, while nothing is asked of this connection.
    await db.run((other) => other.execute(sql`select pg_terminate_backend(${held?.pid ?? 0})`));
    const gone = sql`select 1 from pg_stat_activity where pid = ${held?.pid ?? 0}`;
    await expect.poll(async () => (await db.run((other) => other.execute(gone))).rowCount).toBe(0);
    await tx.execute(sql`select 1`);
  });
  await expect(work).rejects.toMatchObject({ code: 'database_unavailable' });
  expect((await db.run((again) => again.execute(sql`select 1`))).rowCount).toBe(1);
});
