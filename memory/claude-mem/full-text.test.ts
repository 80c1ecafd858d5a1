import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RELEASES, buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { MemoryWriter } from '../../fixtures/claude-mem/write.ts';
import { findFullTextProblems } from './full-text.ts';
import { mendFullText } from './mend-full-text.ts';
import { openForReading } from './open.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-fts-'));
  path = join(folder, 'claude-mem.db');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const JANUARY = Date.UTC(2026, 0, 5, 9);

/** Builds a database in use, with an open connection such as the worker's. */
function build(release = '13.25.3'): Database.Database {
  const db = buildDatabase(path, release);
  writeHistory(db, { name: 'x', seed: 1, observations: 48, from: JANUARY });
  return db;
}

function problems(thorough = false) {
  const db = openForReading(path);
  try {
    return findFullTextProblems(db, { thorough });
  } finally {
    db.close();
  }
}

const DAMAGES: readonly (readonly [name: string, sql: string, mend: 'rebuild' | 'recreate'])[] = [
  ['a blanked record 10', `UPDATE observations_fts_data SET block = zeroblob(4) WHERE id = 10`, 'rebuild'],
  ['an empty record 10', `UPDATE observations_fts_data SET block = x'' WHERE id = 10`, 'rebuild'],
  ['no record 10', `DELETE FROM observations_fts_data WHERE id = 10`, 'rebuild'],
  ['no record 1', `DELETE FROM observations_fts_data WHERE id = 1`, 'rebuild'],
  ['a blanked record 1', `UPDATE observations_fts_data SET block = zeroblob(3) WHERE id = 1`, 'rebuild'],
  [
    'a blanked segment',
    `UPDATE observations_fts_data SET block = zeroblob(length(block)) WHERE id = (SELECT max(id) FROM observations_fts_data)`,
    'rebuild',
  ],
  ['no segments', `DELETE FROM observations_fts_data WHERE id > 10`, 'rebuild'],
  ['sizes of a third of its rows gone', `DELETE FROM observations_fts_docsize WHERE id % 3 = 0`, 'rebuild'],
  [
    'a row that it does not hold',
    `INSERT INTO observations_fts(observations_fts, rowid, title, subtitle, narrative, text, facts, concepts)
     SELECT 'delete', id, title, subtitle, narrative, text, facts, concepts FROM observations WHERE id = 5`,
    'rebuild',
  ],
  ['a row that is not there', `INSERT INTO observations_fts(rowid, title) VALUES (9999, 'ghost')`, 'rebuild'],
  [
    'every word of it gone',
    `INSERT INTO observations_fts(observations_fts) VALUES ('delete-all')`,
    'rebuild',
  ],
  ['no data table', 'DROP TABLE observations_fts_data', 'recreate'],
  ['no idx table', 'DROP TABLE observations_fts_idx', 'recreate'],
  ['no docsize table', 'DROP TABLE observations_fts_docsize', 'recreate'],
  ['no config table', 'DROP TABLE observations_fts_config', 'recreate'],
  ['no version', 'DELETE FROM observations_fts_config', 'recreate'],
];

describe('findFullTextProblems', () => {
  it.each(RELEASES)('finds no problem in a sound database of %s', (release) => {
    build(release).close();
    expect(problems(true)).toEqual([]);
  });

  it('finds no problem in a database without full-text search', () => {
    const db = build();
    for (const table of ['observations', 'session_summaries', 'user_prompts']) {
      for (const trigger of ['ai', 'ad', 'au']) db.exec(`DROP TRIGGER ${table}_${trigger}`);
      db.exec(`DROP TABLE ${table}_fts`);
    }
    db.close();
    expect(problems(true)).toEqual([]);
  });

  it('finds a missing index whose triggers exist, and leaves it', () => {
    const db = build();
    db.exec('DROP TABLE session_summaries_fts');
    const [problem, ...others] = problems();
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ index: 'session_summaries_fts', mend: null });
    expect(problem?.problem).toContain('is missing while triggers');
    if (problem !== undefined) expect(mendFullText(path, problem, [])).toMatchObject({ done: false });
    db.close();
  });

  it('handles texts without words, NULs and other scripts correctly', () => {
    const db = build();
    const writer = new MemoryWriter(db);
    const memorySessionId = db.prepare('SELECT memory_session_id FROM sdk_sessions').pluck().get() as string;
    for (const title of ['', '...', 'naïve_x', '你好世界', 'nul\0abc', '😀😀', 'É', 'a b c']) {
      writer.observation({ memorySessionId, project: 'p', title, narrative: null, createdAt: JANUARY });
    }
    db.close();
    expect(problems(true)).toEqual([]);
  });
});

describe('mendFullText', () => {
  it('finds a blanked record 10 even when all rows of the index were deleted', () => {
    const db = build();
    db.exec('DELETE FROM user_prompts');
    expect(problems(true)).toEqual([]);
    db.unsafeMode(true);
    db.exec(`UPDATE user_prompts_fts_data SET block = zeroblob(length(block)) WHERE id = 10`);
    db.close();
    const [found] = problems();
    expect(found).toMatchObject({ index: 'user_prompts_fts', mend: 'rebuild' });
  });

  it.each(DAMAGES)(
    'finds and repairs an index with %s while the worker has the database open',
    (_name, sql, mend) => {
      const worker = build();
      worker.unsafeMode(true);
      worker.exec(sql);
      worker.unsafeMode(false);
      const rows = worker.prepare('SELECT * FROM observations').all();
      const [problem, ...others] = problems();
      expect(others).toEqual([]);
      expect(problem).toMatchObject({ index: 'observations_fts', mend });
      if (problem === undefined) return;

      const mended = mendFullText(path, problem, [{ pid: 1, why: `has ${path} open` }]);
      expect(mended).toMatchObject({ index: 'observations_fts', done: true });
      expect(problems(true)).toEqual([]);
      expect(worker.prepare('SELECT * FROM observations').all()).toEqual(rows);
      // The connection that was open throughout writes, and finds what it wrote.
      const memorySessionId = worker
        .prepare('SELECT memory_session_id FROM sdk_sessions')
        .pluck()
        .get() as string;
      const writer = new MemoryWriter(worker);
      writer.observation({
        memorySessionId,
        project: 'p',
        title: 'Aardvark',
        narrative: null,
        createdAt: JANUARY,
      });
      const found = worker
        .prepare(`SELECT count(*) FROM observations_fts WHERE observations_fts MATCH ?`)
        .pluck();
      expect(found.get('aardvark')).toBe(1);
      expect(found.get('the')).toBeGreaterThan(40);
      expect(worker.pragma('integrity_check', { simple: true })).toBe('ok');
      worker.close();
    },
  );

  it('leaves the index unchanged when it cannot get the lock', () => {
    const worker = build();
    worker.exec(`INSERT INTO observations_fts(observations_fts) VALUES ('delete-all')`);
    const [problem] = problems();
    worker.exec('BEGIN IMMEDIATE');
    expect(() => problem !== undefined && mendFullText(path, problem, [])).toThrow(/locked/);
    worker.exec('ROLLBACK');
    expect(problems()).toEqual([problem]);
    worker.close();
  });

  it('refuses a rebuild that takes longer than the worker waits, and runs it once the database is unused', () => {
    const db = build();
    // One transaction of long texts: quick to write, slow to index.
    const words = Array.from({ length: 40_000 }, (_, n) => `w${n.toString(36)}`).join(' ');
    db.exec('DROP TRIGGER user_prompts_ai');
    const add = db.prepare(
      `INSERT INTO user_prompts (content_session_id, prompt_number, prompt_text, created_at, created_at_epoch, session_db_id)
       SELECT content_session_id, 1, ?, '2026-01-05', ?, id FROM sdk_sessions LIMIT 1`,
    );
    db.transaction(() => {
      for (let n = 0; n < 12; n += 1) add.run(words, JANUARY + n);
    })();
    db.close();
    const [problem] = problems();
    expect(problem).toMatchObject({ index: 'user_prompts_fts', mend: 'rebuild' });
    if (problem === undefined) return;
    const refused = mendFullText(path, problem, [{ pid: 4711, why: 'is the worker' }], 1);
    expect(refused.done).toBe(false);
    expect(refused.detail).toMatch(
      /takes about \d+ s, and process 4711.*waits at most 5 s.*stop claude-mem's worker/,
    );
    expect(problems()).toEqual([problem]);
    expect(mendFullText(path, problem, [])).toMatchObject({ done: true });
    expect(problems(true)).toEqual([]);
  });
});
