import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { freshDatabase } from '../test/support/control-plane.ts';
import { connectDatabase } from './connect.ts';
import { dumpSchema } from './dump-schema.ts';
import { migrateDatabase } from './migrate.ts';

let database: Awaited<ReturnType<typeof freshDatabase>>;
beforeEach(async () => {
  database = await freshDatabase(inject('parts').databaseUrl);
});
afterEach(async () => await database.drop());

test('the committed dump equals the schema after all migrations', async () => {
  const db = connectDatabase(database.url, { onIdleError: () => undefined });
  try {
    await migrateDatabase(db);
    expect(await dumpSchema(db)).toBe(await readFile(new URL('./schema.sql', import.meta.url), 'utf8'));
  } finally {
    await db.close();
  }
});

test('processes that start together migrate one after the other', async () => {
  const script = `
    import { connectDatabase } from './db/connect.ts';
    import { migrateDatabase } from './db/migrate.ts';
    const db = connectDatabase(process.env.DATABASE_URL, { onIdleError: () => {} });
    await migrateDatabase(db);
    await db.close();`;
  const exits = await Promise.all(
    [1, 2, 3].map(async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        cwd: new URL('..', import.meta.url),
        env: { ...process.env, DATABASE_URL: database.url },
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      const [code] = (await once(child, 'exit')) as [number | null];
      return code;
    }),
  );
  expect(exits).toEqual([0, 0, 0]);
});

test('migrations keep the pools that a node serves', async () => {
  const db = connectDatabase(database.url, { onIdleError: () => undefined });
  try {
    await migrateDatabase(db);
    await db.pool.query(`
      ALTER TABLE nodes DROP COLUMN pools;
      ALTER TABLE enrolment_tokens DROP COLUMN pools;
      INSERT INTO nodes (id, key_hash, public_key, facts, registered_at, install_method) VALUES
        ('labelled', 'a', 'a', '{"capabilities": {"labels": ["gpu", "big"]}}', 1, 'enrolled'),
        ('plain', 'b', 'b', '{}', 1, 'enrolled')`);
    await db.pool.query(await readFile(new URL('./migrations/0011_pools.sql', import.meta.url), 'utf8'));
    const { rows } = await db.pool.query('SELECT id, pools FROM nodes ORDER BY id');
    expect(rows).toEqual([
      { id: 'labelled', pools: ['gpu', 'big'] },
      { id: 'plain', pools: [] },
    ]);
  } finally {
    await db.close();
  }
});
