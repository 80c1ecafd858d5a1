import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ScannedRows } from './scanned-rows.ts';

const KEY = Buffer.alloc(32, 7);

describe('ScannedRows', () => {
  let folder: string;
  let reading: Database.Database;
  let writing: Database.Database;
  let scanned: ScannedRows;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanned-rows-'));
    writing = new Database(join(folder, 'rows.db'));
    writing.pragma('journal_mode = WAL');
    writing.exec('CREATE TABLE rows (text)');
    reading = new Database(join(folder, 'rows.db'), { readonly: true });
    scanned = new ScannedRows(reading);
    scanned.revalidate();
    scanned.note('observation', 5, KEY);
  });

  afterEach(() => {
    reading.close();
    writing.close();
    rmSync(folder, { recursive: true });
  });

  it('recognizes a recorded row by its kind, id and key', () => {
    expect(scanned.revalidate()).toBe(true);
    expect(scanned.isPlain('observation', 5, KEY)).toBe(true);
    expect(scanned.isPlain('observation', 5, Buffer.alloc(32, 8))).toBe(false);
    expect(scanned.isPlain('observation', 6, KEY)).toBe(false);
    expect(scanned.isPlain('prompt', 5, KEY)).toBe(false);
  });

  it('keeps rows recorded before one with a much larger id', () => {
    scanned.note('observation', 100_000, KEY);
    expect(scanned.isPlain('observation', 5, KEY)).toBe(true);
    expect(scanned.isPlain('observation', 100_000, KEY)).toBe(true);
  });

  it('forgets every row once another connection commits', () => {
    writing.exec(`INSERT INTO rows VALUES ('a secret')`);
    expect(scanned.revalidate()).toBe(false);
    expect(scanned.isPlain('observation', 5, KEY)).toBe(false);
  });

  it('is valid in a transaction for what that transaction sees', () => {
    reading.transaction(() => {
      expect(scanned.revalidate()).toBe(true);
      writing.exec(`INSERT INTO rows VALUES ('a secret')`);
      expect(reading.prepare('SELECT count(*) FROM rows').pluck().get()).toBe(0);
    })();
    expect(scanned.revalidate()).toBe(false);
  });
});
