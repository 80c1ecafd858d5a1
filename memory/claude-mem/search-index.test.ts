import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MembridgeError } from '../../contract/errors.ts';
import { compare, takeInventory } from '../../demo/inventory.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { explainByIndexDamage } from './search-index.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);

let fleet: TestFleet;
beforeEach(async () => {
  fleet = await newFleet();
});
afterEach(() => fleet.close());

/** Changes an index's internal tables, as a crash or a bad disk does; SQLite itself would refuse that. */
function damage({ path }: Pick<TestNode, 'path'>, sql: string): void {
  const db = new Database(path);
  db.unsafeMode(true);
  db.pragma('writable_schema = ON');
  db.exec(sql);
  db.close();
}

/** Runs the statements that an error suggests, as a person does in the `sqlite3` shell. */
function repair({ path }: TestNode, { message }: MembridgeError): void {
  const statements = /or in SQLite: (.*)\.$/s.exec(message)?.[1];
  const db = new Database(path);
  db.unsafeMode(true);
  db.exec(`${statements};`);
  db.close();
}

async function failureOf(work: Promise<unknown>): Promise<MembridgeError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof MembridgeError) return error;
    throw error;
  }
  throw new Error('nothing failed');
}

const INDEXES = [
  ['observations_fts', 'observations'],
  ['session_summaries_fts', 'session_summaries'],
  ['user_prompts_fts', 'user_prompts'],
] as const;

const DAMAGES = INDEXES.flatMap(([fts, table]) => [
  [`${fts} whose record 10 is blank`, fts, `UPDATE ${fts}_data SET block = x'' WHERE id = 10`],
  [
    `${fts} whose record 10 is zero`,
    fts,
    `UPDATE ${fts}_data SET block = zeroblob(length(block)) WHERE id = 10`,
  ],
  [`${fts} whose record 10 is gone`, fts, `DELETE FROM ${fts}_data WHERE id = 10`],
  [`${fts} without its table _data`, fts, `DROP TABLE ${fts}_data`],
  [`${fts} without its table _idx`, fts, `DROP TABLE ${fts}_idx`],
  [`${fts} without its table _docsize`, fts, `DROP TABLE ${fts}_docsize`],
  [`${fts} without its table _config`, fts, `DROP TABLE ${fts}_config`],
  [`${fts} that is gone while triggers of ${table} fill it`, fts, `DROP TABLE ${fts}`],
]) as (readonly [string, string, string])[];

describe('a damaged search index', () => {
  test.each(DAMAGES)('blocks neither this node’s memories nor the repair: %s', async (_title, fts, sql) => {
    const [a, b] = [fleet.add('a', '13.25.3'), fleet.add('b', '13.25.3')];
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
    await settle(fleet.space, [a, b]);
    damage(b, sql);
    writeHistory(a.db, { name: 'beta', seed: 2, observations: 24, from: JANUARY });
    await a.engine.push(fleet.space, CALL);

    const error = await failureOf(b.engine.pull(fleet.space, false, CALL));
    expect(error.code).toBe('memory_index_damaged');
    expect(error.retryable).toBe(false);
    expect(error.message).toContain(fts);
    expect(error.message).toContain(`INSERT INTO ${fts}(${fts}) VALUES('rebuild')`);
    expect(error.message).toContain('membridge doctor --fix');
    expect(error.message).not.toMatch(/restore/);
    expect(await b.engine.status()).toMatchObject({ state: 'index-damaged', detail: error.message });

    // b's own rows are sent: claude-mem cannot write to the damaged table, so a new session is enough.
    b.write.session({
      contentSessionId: 'gamma-1',
      memorySessionId: 'gamma-mem-1',
      project: 'gamma',
      startedAt: JANUARY + 5_000,
      status: 'completed',
    });
    const pushed = await b.engine.push(fleet.space, CALL);
    expect(pushed.rows).toBe(1);
    expect(pushed.unmerged).toMatchObject({ code: 'memory_index_damaged' });
    expect((await a.engine.pull(fleet.space, false, CALL)).inserted).toBe(1);
    expect((await b.engine.status()).state).toBe('index-damaged');

    repair(b, error);
    await settle(fleet.space, [a, b]);
    expect(compare(takeInventory(b.db), takeInventory(a.db))).toEqual({ lost: 0, duplicated: 0 });
    expect(await b.engine.status()).toMatchObject({ state: 'ready', detail: null });
  });

  test('does not stop a node that never synced from sending its own memories', async () => {
    const [a, b] = [fleet.add('a', '13.25.3'), fleet.add('b', '13.25.3')];
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    writeHistory(b.db, { name: 'beta', seed: 2, observations: 24, from: JANUARY });
    damage(b, `UPDATE observations_fts_data SET block = x'' WHERE id = 10`);
    const own = b.count('observations');

    const pushed = await b.engine.push(fleet.space, CALL);
    expect(pushed.rows).toBeGreaterThanOrEqual(own);
    expect(pushed.unmerged?.code).toBe('memory_index_damaged');
    const before = a.count('observations');
    await a.engine.pull(fleet.space, false, CALL);
    expect(a.count('observations')).toBe(before + own);

    repair(b, await failureOf(b.engine.pull(fleet.space, false, CALL)));
    await settle(fleet.space, [a, b]);
    expect(compare(takeInventory(b.db), takeInventory(a.db))).toEqual({ lost: 0, duplicated: 0 });
  });

  test('leaves a row staged with its segment instead of refusing it', async () => {
    const [a, b] = [fleet.add('a', '13.25.3'), fleet.add('b', '13.25.3')];
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 12, from: JANUARY });
    await settle(fleet.space, [a, b]);
    damage(b, `UPDATE observations_fts_data SET block = x'' WHERE id = 10`);
    // A change of an existing row is one statement, not a batch.
    a.db.exec(`UPDATE observations SET project = 'moved' WHERE id = 1`);
    await a.engine.push(fleet.space, CALL);
    await failureOf(b.engine.pull(fleet.space, false, CALL));
    const [sync] = (await b.engine.status()).syncs ?? [];
    expect(sync).toMatchObject({ staged: 1, waiting: 0 });
  });

  test('is not blamed on the database while another program locks it', async () => {
    const { path, db } = fleet.add('a', '13.25.3');
    damage({ path }, 'DROP TABLE observations_fts_idx');
    const refused = new Database.SqliteError('database disk image is malformed', 'SQLITE_CORRUPT');
    db.exec('BEGIN IMMEDIATE');
    expect(explainByIndexDamage(path, refused)).toMatchObject({ code: 'memory_locked' });
    db.exec('ROLLBACK');
    expect(explainByIndexDamage(path, refused)).toMatchObject({ code: 'memory_index_damaged' });
  });

  test('names a trigger that writes to a missing table', async () => {
    const [a, b] = [fleet.add('a', '13.25.3'), fleet.add('b', '13.25.3')];
    b.db.exec(
      `CREATE TRIGGER copy_title AFTER INSERT ON observations BEGIN INSERT INTO titles VALUES (new.title); END`,
    );
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 12, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    const error = await failureOf(b.engine.pull(fleet.space, false, CALL));
    expect(error.code).toBe('memory_index_damaged');
    expect(error.message).toMatch(/trigger copy_title .*table titles, which does not exist/);
    expect((await b.engine.status()).state).toBe('index-damaged');
    b.db.exec('DROP TRIGGER copy_title');
    await settle(fleet.space, [a, b]);
    expect((await b.engine.status()).state).toBe('ready');
  });
});
