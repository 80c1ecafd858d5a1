/** What SQLite alone needs for the same rows, on the same machine in the same run: no sync can be faster. */
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import type { Result } from '../results.ts';

const TABLES = ['sdk_sessions', 'user_prompts', 'session_summaries', 'observations'];

/** Rates that no sync of a database can exceed. */
export interface Limits {
  /** One `INSERT … SELECT` a table, in one transaction, with claude-mem's own triggers on: rows/s. */
  readonly insert: number;
  /** Every column of every row read into JavaScript: rows/s. */
  readonly read: number;
  /** `cp` of the file: MB/s. */
  readonly copy: number;
}

/**
 * Measures the limits of a database.
 * @param source a claude-mem database; it is only read
 * @param folder where copies may lie
 * @param release the claude-mem release of an empty database
 */
export function measureLimits(source: string, folder: string, release: string): Limits {
  const own = mkdtempSync(join(folder, 'limits-'));
  try {
    const copied = timed(() => copyFileSync(source, join(own, 'copy.db')));
    const db = buildDatabase(join(own, 'inserted.db'), release);
    let rows = 0;
    db.prepare('ATTACH ? AS source').run(source);
    const inserted = timed(() =>
      db.transaction(() => {
        for (const table of TABLES) {
          const columns = (db.pragma(`main.table_info(${table})`) as { name: string }[])
            .map(({ name }) => `"${name}"`)
            .join();
          const sql = `INSERT INTO main.${table} (${columns}) SELECT ${columns} FROM source.${table}`;
          rows += db.prepare(sql).run().changes;
        }
      })(),
    );
    db.close();
    const reading = new Database(source, { readonly: true });
    const read = timed(() => {
      for (const table of TABLES) {
        const all = reading.prepare(`SELECT * FROM ${table}`).raw().iterate();
        while (all.next().done !== true);
      }
    });
    reading.close();
    const rate = (ms: number): number => (rows / ms) * 1_000;
    return { insert: rate(inserted), read: rate(read), copy: statSync(source).size / 1e3 / copied };
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

function timed(work: () => unknown): number {
  const began = performance.now();
  work();
  return performance.now() - began;
}

/** Adds the limit of its kind to a rate. */
export function withLimit(result: Result, limit: number): Result {
  return { ...result, limit: Math.round(limit * 100) / 100 };
}
