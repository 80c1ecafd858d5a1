import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { KINDS } from '../format/kinds.ts';
import { markOf } from '../detect/marks.ts';
import { AuditReader } from './audit-reader.ts';
import { RowReader } from './read.ts';
import { detectSchema } from './schema.ts';

describe('AuditReader', () => {
  let folder: string;
  let db: Database.Database;
  let reader: RowReader;
  let audit: AuditReader;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'audit-reader-'));
    const path = join(folder, 'claude-mem.db');
    db = buildDatabase(path, '13.25.3');
    writeHistory(db, { name: 'alpha', seed: 1, observations: 120, from: Date.UTC(2026, 0, 5) });
    const schema = detectSchema(db, path);
    reader = new RowReader(db, schema);
    audit = new AuditReader(db, schema, reader);
  });

  afterAll(() => {
    db.close();
    rmSync(folder, { recursive: true });
  });

  it.each(KINDS)('computes the same digest as SQLite for rows of the kind %s', (kind) => {
    const { rows, digest } = audit.readRange(kind, -1, 60);
    expect(rows.length).toBeGreaterThan(0);
    expect(digest).toEqual(audit.digestRange(kind, -1, 60).digest);
  });

  it('leaves the digest of undecodable bytes and of large numbers to SQLite', () => {
    const [id] = audit.readRange('observation', -1, 60).rows.map((row) => row.id);
    const before = audit.digestRange('observation', -1, 60).digest;
    db.prepare(
      `UPDATE observations SET narrative = CAST(x'80' AS TEXT), discovery_tokens = ? WHERE id = ?`,
    ).run(2n ** 60n, id);
    const after = audit.readRange('observation', -1, 60).digest;
    expect(after).not.toEqual(before);
    expect(after).toEqual(audit.digestRange('observation', -1, 60).digest);
  });

  it.each(KINDS)('computes the same marks as for a whole row, for the kind %s', (kind) => {
    const columns = detectSchema(db, folder).columns[kind];
    for (const { id, mark } of audit.readAfter(kind, 0, 60)) {
      const row = reader.byId(kind, id);
      expect(row).not.toBeNull();
      if (row !== null) expect(mark).toEqual(markOf(row, (column) => columns.has(column)));
    }
  });

  it('hashes the key again when the row changed since it was written', () => {
    const [row] = reader.readAfter('observation', 1, 1);
    if (row === undefined) throw new Error('there is no observation');
    const madeOf = {
      type: 'full',
      kind: 'observation',
      key: Buffer.alloc(32, 1),
      version: { counter: 1, hlc: 1, node: 'a' },
      ordinal: 0,
      of: null,
      mem: null,
      set: row.set,
      extra: null,
      written: new Map(),
    } as const;
    const marks = (set: typeof row.set): (Buffer | undefined)[] =>
      audit
        .readAfter('observation', row.id - 1, 1, new Map([[row.id, { ...madeOf, set }]]))
        .map(({ mark }) => mark.subarray(0, 8));
    expect(marks(row.set)).toEqual([Buffer.alloc(8, 1)]);
    expect(marks({ ...row.set, title: 'another' })).toEqual([
      audit.readAfter('observation', row.id - 1, 1)[0]?.mark.subarray(0, 8),
    ]);
  });
});
