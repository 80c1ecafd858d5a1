import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { KINDS, SHAPES, type Kind } from '../format/kinds.ts';
import { RowWatch, type ChangedRows } from './row-watch.ts';

let folder: string;
let template: string;
let copies = 0;
let names = 0;
let db: Database.Database;
let reading: Database.Database;
let watch: RowWatch;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-watch-'));
  template = join(folder, 'template.db');
  const full = buildDatabase(template, '13.25.3');
  writeHistory(full, { name: 'alpha', seed: 1, observations: 240, from: Date.UTC(2026, 0, 5) });
  full.pragma('wal_checkpoint(TRUNCATE)');
  full.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Creates a new database and looks at it once. */
function open(): string {
  copies += 1;
  const path = join(folder, `${copies}.db`);
  copyFileSync(template, path);
  db = new Database(path);
  db.pragma('journal_mode = WAL');
  reading = new Database(path, { readonly: true });
  // The first read creates the WAL index.
  reading.prepare('SELECT 1 FROM sdk_sessions').get();
  watch = new RowWatch(path, reading);
  watch.accept(watch.look().position);
  return path;
}

function close(): void {
  reading.close();
  db.close();
}

type Rows = Map<Kind, Map<number, string>>;

/** Returns every row as text, by kind and local id. */
function rowsOf(): Rows {
  return new Map(
    KINDS.map((kind) => [
      kind,
      new Map(
        db
          .prepare(`SELECT * FROM ${SHAPES[kind].table}`)
          .all()
          .map((row) => [(row as { id: number }).id, JSON.stringify(row)]),
      ),
    ]),
  );
}

/** Looks, and expects the result to contain every row that changed or disappeared. */
function look(before: Rows): ChangedRows {
  const found = watch.look();
  watch.accept(found.position);
  if (found.ranges === 'any') return found;
  const now = rowsOf();
  for (const [kind, rows] of before) {
    for (const [id, text] of rows) {
      if (now.get(kind)?.get(id) === text) continue;
      const isFound = found.ranges.some((range) => range.kind === kind && range.after < id && id <= range.to);
      expect(isFound, `${kind} ${id}`).toBe(true);
    }
  }
  return found;
}

/** One write each; the number selects the row and the text length. */
const WRITES: readonly ((n: number) => void)[] = [
  (n) =>
    void db.prepare('UPDATE observations SET narrative = ? WHERE id = ?').run(`edited ${n}`, 1 + (n % 240)),
  (n) =>
    void db
      .prepare('UPDATE observations SET narrative = ? WHERE id = ?')
      .run('x'.repeat((n % 9) * 3_000), 1 + (n % 240)),
  (n) =>
    void db
      .prepare(`UPDATE observations SET narrative = replace(narrative, 'x', 'y') WHERE id = ?`)
      .run(1 + (n % 240)),
  (n) =>
    void db.prepare('UPDATE user_prompts SET prompt_text = ? WHERE id = ?').run(`asked ${n}`, 1 + (n % 100)),
  (n) =>
    void db
      .prepare('UPDATE session_summaries SET learned = ? WHERE id BETWEEN ? AND ?')
      .run(`learned ${n}`, n % 60, (n % 60) + 9),
  (n) =>
    void db.prepare('UPDATE sdk_sessions SET custom_title = ? WHERE id = ?').run(`title ${n}`, 1 + (n % 20)),
  (n) => void db.prepare('DELETE FROM observations WHERE id = ?').run(1 + (n % 240)),
  (n) => void db.prepare('DELETE FROM observations WHERE id BETWEEN ? AND ?').run(n % 240, (n % 240) + 30),
  (n) => void db.prepare('DELETE FROM user_prompts WHERE id > ?').run(50 + (n % 100)),
  () => void db.exec('DELETE FROM session_summaries'),
  (n) =>
    writeHistory(db, {
      name: `more-${(names += 1)}`,
      seed: n,
      observations: 12 + (n % 60),
      from: Date.UTC(2026, 2, 5) + n,
    }),
  () => void db.pragma('wal_checkpoint(TRUNCATE)'),
  () => void db.pragma('wal_checkpoint(PASSIVE)'),
  () => void db.exec('VACUUM'),
  () => void db.pragma('incremental_vacuum'),
];

describe('looking for changed rows after arbitrary writes', () => {
  it('misses none, however often the WAL restarts', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(WRITES.length - 1), fc.nat(10_000), fc.nat(2)), {
          minLength: 1,
          maxLength: 12,
        }),
        fc.constantFrom(20, 100, 1_000),
        (writes, pagesOfLog) => {
          open();
          db.pragma(`wal_autocheckpoint = ${pagesOfLog}`);
          try {
            let before = rowsOf();
            for (const [which, n, pause] of writes) {
              WRITES[which]?.(n);
              // Sometimes two writes happen before the next look.
              if (pause === 0) continue;
              look(before);
              before = rowsOf();
            }
            look(before);
          } finally {
            close();
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('looking for changed rows', () => {
  let path: string;
  beforeEach(() => {
    path = open();
  });
  afterEach(close);

  it('reports few rows for one edit, and none when nothing was written', () => {
    const before = rowsOf();
    db.exec(`UPDATE observations SET narrative = 'edited' WHERE id = 100`);
    const { ranges } = look(before);
    if (ranges === 'any') throw new Error('one edit does not show which row it changed');
    const found = ranges.filter(({ kind }) => kind === 'observation');
    expect(found.reduce((sum, { after, to }) => sum + to - after, 0)).toBeLessThan(40);
    expect(look(rowsOf()).ranges).toEqual([]);
  });

  it('keeps up with added rows as long as it looks often enough', () => {
    for (let round = 0; round < 20; round += 1) {
      const before = rowsOf();
      writeHistory(db, {
        name: `r${round}`,
        seed: round,
        observations: 60,
        from: Date.UTC(2026, 3, 1) + round * 1e7,
      });
      expect(look(before).ranges).not.toBe('any');
    }
  });

  it('reports rows changed by a burst of commits, although the WAL restarted during it', () => {
    db.pragma('wal_autocheckpoint = 200');
    const edit = (id: number): void =>
      void db.prepare('UPDATE observations SET narrative = ? WHERE id = ?').run(`edited ${id}`, id);
    for (let id = 1; (watch.position()?.frames ?? 0) < 150; id += 1) edit(id);
    watch.accept(watch.look().position);
    const { salts, frames } = watch.position() ?? { salts: '', frames: 0 };
    const before = rowsOf();
    let id = 100;
    while (watch.position()?.salts === salts) edit((id += 1));
    expect(watch.position()?.frames, 'the log has not reached its old length').toBeLessThan(frames);
    expect(look(before).ranges).not.toBe('any');
  });

  it('ignores its own commit, and keeps what others wrote before it', () => {
    db.exec(`UPDATE observations SET narrative = 'by another' WHERE id = 7`);
    const own = watch.position();
    db.exec(`UPDATE observations SET narrative = 'by this process' WHERE id = 200`);
    watch.passOver(own);
    const { ranges } = watch.look();
    if (ranges === 'any') throw new Error('two edits do not show which rows they changed');
    const covers = (id: number): boolean =>
      ranges.some((range) => range.kind === 'observation' && range.after < id && id <= range.to);
    expect([covers(7), covers(200)]).toEqual([true, false]);
  });

  it('reports that any row may have changed when there is no WAL', () => {
    reading.close();
    db.pragma('journal_mode = DELETE');
    db.exec(`UPDATE observations SET narrative = 'edited' WHERE id = 100`);
    reading = new Database(path, { readonly: true });
    expect(new RowWatch(path, reading).look().ranges).toBe('any');
  });
});
