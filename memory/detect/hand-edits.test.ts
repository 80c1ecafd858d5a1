import { existsSync, renameSync, rmSync } from 'node:fs';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import type { MemoryEngine } from '../engine.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { expectIntact } from '../../test/memory/expect-intact.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
const OBSERVATIONS = 300;
let fleet: TestFleet;
let a: TestNode;
let b: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  a = fleet.add('a', '13.25.3');
  b = fleet.add('b', '13.25.3');
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: OBSERVATIONS, from: JANUARY });
  await settle(fleet.space, [a, b]);
});
afterEach(() => fleet.close());

const one = (db: Database.Database, sql: string): unknown => db.prepare(sql).pluck().get();

/** Pushes once from a, after an engine restart if asked, and pulls once on b. */
async function exchange({ restart }: { restart: boolean }): Promise<void> {
  if (restart) {
    await a.engine.close();
    const again = fleet.reopen(a, {});
    try {
      await again.push(fleet.space, CALL);
    } finally {
      await again.close();
    }
  } else await a.engine.push(fleet.space, CALL);
  await b.engine.pull(fleet.space, false, CALL);
}

/** Returns the number of texts in a database that contain a word. */
function holding(db: Database.Database, word: string): number {
  const texts = ['title', 'narrative', 'text', 'facts'].map((column) => `ifnull(${column}, '')`).join(' || ');
  const like = `'%${word}%'`;
  return Number(
    one(
      db,
      `SELECT (SELECT count(*) FROM observations WHERE ${texts} LIKE ${like})
       + (SELECT count(*) FROM user_prompts WHERE prompt_text LIKE ${like})
       + (SELECT count(*) FROM session_summaries WHERE ifnull(request, '') || ifnull(learned, '') LIKE ${like})`,
    ),
  );
}

const counts = (node: TestNode): number[] =>
  ['observations', 'user_prompts', 'session_summaries'].map((table) => node.count(table));

/** Expects that neither machine contains the word any longer, and that both hold as many rows as before. */
function expectGone(word: string, before: readonly number[]): void {
  for (const node of [a, b]) {
    expect(holding(node.db, word)).toBe(0);
    expect(counts(node)).toEqual(before);
    expectIntact(node.path, node.name);
  }
  expect(a.hash()).toBe(b.hash());
}

describe('a secret that a person removes from a row by hand', () => {
  const rows = ['min(id)', 'max(id)', 'max(id) - 2', '(min(id) + max(id)) / 2'];
  for (const restart of [false, true]) {
    for (const row of rows) {
      it(`is gone from both machines after one push and pull: prompt ${row}, ${restart ? 'agent restarted' : 'agent running'}`, async () => {
        const before = counts(a);
        const id = Number(one(a.db, `SELECT ${row} FROM user_prompts`));
        const text = String(one(a.db, `SELECT prompt_text FROM user_prompts WHERE id = ${id}`));
        const same = a.db.prepare('SELECT count(*) FROM user_prompts WHERE prompt_text = ?').pluck();
        const others = Number(same.get(text)) - 1;
        a.db.prepare(`UPDATE user_prompts SET prompt_text = '[key removed]' WHERE id = ?`).run(id);
        await exchange({ restart });
        for (const node of [a, b]) {
          const left = node.db
            .prepare('SELECT count(*) FROM user_prompts WHERE prompt_text = ?')
            .pluck()
            .get(text);
          expect(left).toBe(others);
          expect(one(node.db, `SELECT count(*) FROM user_prompts WHERE prompt_text = '[key removed]'`)).toBe(
            1,
          );
        }
        expectGone('nothing of this text', before);
      });
    }
  }

  it('is gone when a tenth of all rows is rewritten at once', async () => {
    a.db.exec(`UPDATE observations SET narrative = 'the key is SECRET ' || id WHERE id % 10 = 0`);
    await settle(fleet.space, [a, b]);
    expect(holding(b.db, 'SECRET')).toBe(OBSERVATIONS / 10);
    const before = counts(a);
    a.db.exec(`UPDATE observations SET narrative = replace(narrative, 'SECRET', 'xx')`);
    await exchange({ restart: false });
    expectGone('SECRET', before);
  });

  for (const restart of [false, true]) {
    it(`is gone when every row is rewritten, ${restart ? 'agent restarted' : 'agent running'}`, async () => {
      const before = counts(a);
      a.db.exec(
        `UPDATE observations SET narrative = 'rewritten ' || id, title = 'new ' || id, text = NULL, facts = '[]'`,
      );
      a.db.exec(`UPDATE user_prompts SET prompt_text = 'asked ' || id`);
      a.db.exec(
        `UPDATE session_summaries SET request = 'r ' || id, learned = 'l ' || id, investigated = NULL`,
      );
      await exchange({ restart });
      for (const node of [a, b]) {
        expect(one(node.db, `SELECT count(*) FROM observations WHERE narrative NOT LIKE 'rewritten %'`)).toBe(
          0,
        );
        expect(one(node.db, `SELECT count(*) FROM user_prompts WHERE prompt_text NOT LIKE 'asked %'`)).toBe(
          0,
        );
      }
      expectGone('nothing of this text', before);
    });
  }

  it('is gone when an edited copy of the database replaces the original', async () => {
    const before = counts(a);
    a.db.exec(`UPDATE observations SET narrative = 'the key is SECRET ' || id WHERE id IN (1, 150, 300)`);
    await settle(fleet.space, [a, b]);
    await a.engine.close();
    a.db.exec(`VACUUM INTO '${a.path}.copy'`);
    const copy = new Database(`${a.path}.copy`);
    copy.exec(`UPDATE observations SET narrative = replace(narrative, 'SECRET', 'xx')`);
    copy.close();
    a.db.close();
    for (const suffix of ['-wal', '-shm']) if (existsSync(`${a.path}${suffix}`)) rmSync(`${a.path}${suffix}`);
    renameSync(`${a.path}.copy`, a.path);
    const again: MemoryEngine = fleet.reopen(a, {});
    await again.push(fleet.space, CALL);
    await again.close();
    await b.engine.pull(fleet.space, false, CALL);
    const now = new Database(a.path);
    for (const db of [now, b.db]) expect(holding(db, 'SECRET')).toBe(0);
    expect(one(now, 'SELECT count(*) FROM observations')).toBe(before[0]);
    expect(b.count('observations')).toBe(before[0]);
    now.close();
  });

  it('is gone from the end of a long text that is overwritten in place', async () => {
    const long = `${'long text '.repeat(3_000)} SECRET ${'and more '.repeat(500)}`;
    a.db.prepare('UPDATE observations SET narrative = ? WHERE id = 20').run(long);
    await settle(fleet.space, [a, b]);
    const before = counts(a);
    a.db.exec(`DROP TRIGGER observations_au`);
    a.db.exec(`UPDATE observations SET narrative = replace(narrative, 'SECRET', 'xxxxxx') WHERE id = 20`);
    await exchange({ restart: false });
    for (const node of [a, b]) {
      expect(holding(node.db, 'SECRET')).toBe(0);
      expect(counts(node)).toEqual(before);
    }
  });

  it('is gone when a checkpoint restarted the WAL in between', async () => {
    const before = counts(a);
    a.db.exec(`UPDATE observations SET narrative = 'the key is SECRET' WHERE id = 7`);
    await settle(fleet.space, [a, b]);
    a.db.exec(`UPDATE observations SET narrative = 'the key is gone' WHERE id = 7`);
    a.db.pragma('wal_checkpoint(TRUNCATE)');
    a.db.exec(`UPDATE sdk_sessions SET custom_title = 'later' WHERE id = 1`);
    await exchange({ restart: false });
    expectGone('SECRET', before);
  });
});

describe('a ledger written by version 0.4', () => {
  it('is kept, and an edit made before the upgrade is sent to the other machine', async () => {
    await a.engine.close();
    const ledger = new Database(a.options.ledgerPath);
    // As 0.4 left it: shorter marks, and without the tables added since.
    ledger.exec('DROP TABLE block; DROP TABLE witness; DROP TABLE signer');
    for (const [kind, bytes] of [
      [1, 8],
      [2, 20],
      [3, 24],
    ]) {
      ledger.prepare('UPDATE seen SET mark = substr(mark, 1, ?) WHERE kind = ?').run(bytes, kind);
    }
    ledger.pragma('user_version = 3');
    const incarnation = ledger.prepare('SELECT epoch FROM space').pluck().get();
    ledger.close();
    const before = counts(a);
    a.db.exec(`UPDATE observations SET narrative = 'rewritten' WHERE id IN (1, 150, 300)`);
    a.db.exec(`UPDATE user_prompts SET prompt_text = 'rewritten' WHERE id = 1`);
    const again = fleet.reopen(a, {});
    const { head } = await again.push(fleet.space, CALL);
    await again.close();
    await b.engine.pull(fleet.space, false, CALL);
    expect(head?.epoch).toBe(incarnation);
    for (const node of [a, b]) {
      expect(counts(node)).toEqual(before);
      expect(one(node.db, `SELECT count(*) FROM observations WHERE narrative = 'rewritten'`)).toBe(3);
    }
    expect(a.hash()).toBe(b.hash());
  });
});

describe('a row that is deleted by hand', () => {
  for (const restart of [false, true]) {
    it(`disappears from both machines after one push and pull, wherever it is, ${restart ? 'agent restarted' : 'agent running'}`, async () => {
      a.db.exec('DELETE FROM observations WHERE id IN (1, 77, 78, 79, 150)');
      a.db.exec('DELETE FROM user_prompts WHERE id = 5');
      await exchange({ restart });
      for (const node of [a, b]) expect(node.count('observations')).toBe(OBSERVATIONS - 5);
      expect(a.hash()).toBe(b.hash());
    });
  }
});

describe('details that claude-mem fills in later', () => {
  it('are sent to the other machine with the next push', async () => {
    a.db.exec(
      `UPDATE observations SET metadata = '{"a":1}', files_modified = '["x.ts"]', agent_type = 'reviewer', discovery_tokens = 42 WHERE id = 9`,
    );
    a.db.exec(`UPDATE session_summaries SET discovery_tokens = 43 WHERE id = 2`);
    await exchange({ restart: false });
    const sql =
      'SELECT metadata, files_modified, agent_type, discovery_tokens FROM observations WHERE id = 9';
    expect(b.db.prepare(sql).get()).toEqual(a.db.prepare(sql).get());
    expect(one(b.db, 'SELECT discovery_tokens FROM session_summaries WHERE id = 2')).toBe(43);
  });

  it('are merged one by one when two machines fill in different ones', async () => {
    a.db.exec(`UPDATE observations SET project = 'renamed' WHERE id = 9`);
    b.db.exec(`UPDATE observations SET metadata = '{"b":1}' WHERE id = 9`);
    await settle(fleet.space, [a, b]);
    for (const node of [a, b]) {
      expect(node.db.prepare('SELECT project, metadata FROM observations WHERE id = 9').get()).toEqual({
        project: 'renamed',
        metadata: '{"b":1}',
      });
    }
  });
});

describe('numbers that a JSON number cannot hold', () => {
  it('arrive unchanged', async () => {
    a.db.exec(`UPDATE observations SET created_at_epoch = 1767225600123456789 WHERE id = 3`);
    a.db.exec(`UPDATE observations SET discovery_tokens = 9e999 WHERE id = 4`);
    a.db.exec(`UPDATE user_prompts SET created_at_epoch = 9223372036854775807 WHERE id = 5`);
    await exchange({ restart: false });
    expect(one(b.db, `SELECT count(*) FROM observations WHERE created_at_epoch = 1767225600123456789`)).toBe(
      1,
    );
    expect(one(b.db, `SELECT count(*) FROM observations WHERE discovery_tokens = 9e999`)).toBe(1);
    expect(one(b.db, `SELECT count(*) FROM user_prompts WHERE created_at_epoch = 9223372036854775807`)).toBe(
      1,
    );
    expect(b.count('observations')).toBe(OBSERVATIONS);
    expect(a.hash()).toBe(b.hash());
  });
});
