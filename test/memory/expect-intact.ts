import Database from 'better-sqlite3';
import { expect } from 'vitest';

/**
 * Expects a claude-mem database to be sound: SQLite's own check with the full-text indexes, and every foreign key. It
 * opens its own connection. FTS5 keeps the index structure that it last saw until the connection reads through it
 * again, and would report another process's later writes as damage.
 */
export function expectIntact(path: string, label: string): void {
  const db = new Database(path);
  try {
    expect(db.pragma('integrity_check'), label).toEqual([{ integrity_check: 'ok' }]);
    expect(db.pragma('foreign_key_check'), label).toEqual([]);
    for (const table of ['observations_fts', 'session_summaries_fts', 'user_prompts_fts']) {
      // Rank 1 compares the index with the rows it was made of; a difference throws.
      db.exec(`INSERT INTO ${table}(${table}, rank) VALUES ('integrity-check', 1)`);
    }
  } finally {
    db.close();
  }
}
