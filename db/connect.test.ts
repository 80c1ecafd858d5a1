import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { freshDatabase } from '../test/support/control-plane.ts';
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

it('fails only the transaction whose connection breaks between two statements', async () => {
  const work = db.transaction(async (tx) => {
    const { rows } = await tx.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`);
    const [held] = rows;
    // As a stopping PostgreSQL does while this connection is idle.
    await db.run((other) => other.execute(sql`select pg_terminate_backend(${held?.pid ?? 0})`));
    const gone = sql`select 1 from pg_stat_activity where pid = ${held?.pid ?? 0}`;
    await expect.poll(async () => (await db.run((other) => other.execute(gone))).rowCount).toBe(0);
    await tx.execute(sql`select 1`);
  });
  await expect(work).rejects.toMatchObject({ code: 'database_unavailable' });
  expect((await db.run((again) => again.execute(sql`select 1`))).rowCount).toBe(1);
});

it('the database reports why PostgreSQL cannot work now, and that the caller may try again', async () => {
  const raise = (code: string, message: string) =>
    sql.raw(`do $$ begin raise exception using errcode = '${code}', message = '${message}'; end $$`);
  const full = db.run((executor) => executor.execute(raise('53100', 'could not extend file "base/1/2"')));
  await expect(full).rejects.toMatchObject({
    code: 'database_unavailable',
    message: expect.stringMatching(/has no room left on its disk.*could not extend file/) as string,
  });
  const slow = db.transaction(async (tx) => {
    await tx.execute(sql`set local statement_timeout = 20`);
    await tx.execute(sql`select pg_sleep(5)`);
  });
  await expect(slow).rejects.toMatchObject({
    code: 'database_unavailable',
    message: expect.stringContaining('ended a statement that took too long') as string,
  });
  // Two transactions that each hold what the other one waits for.
  await db.run((executor) => executor.execute(sql`create table held as select generate_series(1, 2) as id`));
  const take = (first: number, second: number) =>
    db.transaction(async (tx) => {
      await tx.execute(sql`set local deadlock_timeout = 50`);
      await tx.execute(sql`select 1 from held where id = ${first} for update`);
      await tx.execute(sql`select pg_sleep(0.3)`);
      await tx.execute(sql`select 1 from held where id = ${second} for update`);
    });
  const ends = await Promise.allSettled([take(1, 2), take(2, 1)]);
  const refused = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
  expect(refused).toEqual([expect.objectContaining({ code: 'database_unavailable' })]);
});
