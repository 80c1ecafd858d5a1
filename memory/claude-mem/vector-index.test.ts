import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { readVectorIndex } from './vector-index.ts';

let folder: string;
let defaultFolder: string;
let db: Database.Database;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-vectors-'));
  defaultFolder = join(folder, 'default');
  mkdirSync(defaultFolder);
  db = buildDatabase(join(folder, 'claude-mem.db'), '13.25.3');
  writeHistory(db, { name: 'x', seed: 1, observations: 12, from: Date.UTC(2026, 0, 5) });
  db.exec(`UPDATE observations SET project = 'garden', narrative = 'n'; UPDATE sdk_sessions SET project = 'garden';
    UPDATE session_summaries SET project = 'garden', request = 'r'; UPDATE user_prompts SET prompt_text = 'p'`);
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

const look = () => readVectorIndex(db, { databaseFolder: folder, defaultFolder });
const filesIn = (): string[] => (readdirSync(folder, { recursive: true }) as string[]).sort();
const idsOf = (table: string): number[] =>
  db.prepare(`SELECT id FROM ${table} ORDER BY id`).pluck().all() as number[];

/** Creates the relevant tables of Chroma 1.5, with a document per id, named as claude-mem does. */
function writeChroma(documents: readonly string[]): void {
  mkdirSync(join(folder, 'chroma'), { recursive: true });
  const chroma = new Database(join(folder, 'chroma', 'chroma.sqlite3'));
  chroma.exec(`CREATE TABLE collections (id TEXT PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE segments (id TEXT PRIMARY KEY, type TEXT NOT NULL, scope TEXT NOT NULL, collection TEXT NOT NULL);
    CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT NOT NULL, embedding_id TEXT NOT NULL,
      seq_id BLOB NOT NULL, created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, UNIQUE (segment_id, embedding_id));
    INSERT INTO collections VALUES ('c', 'cm__claude-mem'), ('d', 'of another program');
    INSERT INTO segments VALUES ('s', 'sqlite', 'METADATA', 'c'), ('t', 'sqlite', 'METADATA', 'd')`);
  const add = chroma.prepare('INSERT INTO embeddings (segment_id, embedding_id, seq_id) VALUES (?, ?, 1)');
  for (const document of documents) add.run('s', document);
  add.run('t', 'obs_777_narrative');
  chroma.close();
}

const writeState = (where: string, garden: object): void =>
  writeFileSync(join(where, 'chroma-sync-state.json'), JSON.stringify({ garden }));

describe('readVectorIndex', () => {
  it('returns null when claude-mem keeps no vector index', () => {
    expect(look()).toBeNull();
  });

  it('counts memories passed over, waiting and deleted, and leaves no file behind', () => {
    const observations = idsOf('observations');
    const [first = 0, second = 0] = observations;
    const documents = [
      ...observations
        .filter((id) => id !== first && id !== second && id < 12)
        .map((id) => `obs_${id}_narrative`),
      ...idsOf('session_summaries').map((id) => `summary_${id}_request`),
      ...idsOf('user_prompts').map((id) => `prompt_${id}`),
      'obs_5000_fact_0',
      'obs_5000_narrative',
    ];
    writeChroma(documents);
    writeState(folder, {
      observations: 11,
      summaries: 999,
      prompts: 999,
      pending: { observations: [second] },
    });
    const before = filesIn();
    expect(look()).toEqual({
      statePath: join(folder, 'chroma-sync-state.json'),
      chromaPath: join(folder, 'chroma'),
      passed: 1,
      waiting: 2,
      gone: 1,
    });
    expect(filesIn()).toEqual(before);
  });

  it('counts all missing memories as waiting when claude-mem has no state file', () => {
    writeChroma([]);
    expect(look()).toMatchObject({ passed: 0, gone: 0, waiting: 12 + 9 + 4 });
  });

  it('counts merged rows below the highest id when it cannot read the index', () => {
    db.exec(`UPDATE observations SET origin_device_id = 'membridge:b', origin_local_id = id WHERE id <= 3`);
    writeState(defaultFolder, { observations: 2, summaries: 0, prompts: 0 });
    expect(look()).toEqual({
      statePath: join(defaultFolder, 'chroma-sync-state.json'),
      chromaPath: join(folder, 'chroma'),
      passed: 2,
      waiting: 1,
      gone: null,
    });
    mkdirSync(join(folder, 'chroma'));
    writeFileSync(join(folder, 'chroma', 'chroma.sqlite3'), 'no database');
    expect(look()).toMatchObject({ passed: 2, gone: null });
  });

  it('tolerates a damaged state file', () => {
    writeFileSync(join(folder, 'chroma-sync-state.json'), '{"garden": 5');
    expect(look()).toBeNull();
  });
});
