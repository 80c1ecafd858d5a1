import { statSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { CARRIED_CONCEPTS, CARRIED_TYPE, IS_CARRIED } from './carried-type.ts';
import { inspectForm } from './table-form.ts';

/** Files already inspected, by path: the file's identity and schema version. */
const checkedStates = new Map<string, string>();

/**
 * Moves values that an older claude-mem had no column for into their columns once claude-mem has upgraded the
 * tables: platforms of sessions, types of observations. Our reads find a value in either place; claude-mem
 * itself only uses the column. Runs once per schema version. Types are found through the full-text index, and
 * stay where they are without one.
 */
export function settleUpgrade(db: Database.Database, path: string): void {
  const version = db.pragma('main.schema_version', { simple: true }) as number;
  const state = `${statSync(path).ino}:${version}`;
  if (checkedStates.get(path) === state) return;
  const form = inspectForm(db);
  if (form.hasPlatform && form.physical.session.includes('worker_port')) {
    const where = `typeof(worker_port) = 'text'`;
    if (db.prepare(`SELECT 1 FROM main.sdk_sessions WHERE ${where} LIMIT 1`).get() !== undefined) {
      // A row stays unchanged if another row with that name already has the platform.
      db.exec(
        `UPDATE OR IGNORE main.sdk_sessions SET platform_source = worker_port, worker_port = NULL WHERE ${where}`,
      );
    }
  }
  if (form.types === null) {
    const restore = db.prepare(
      `UPDATE main.observations SET type = ${CARRIED_TYPE}, concepts = ${CARRIED_CONCEPTS} WHERE id = ? AND ${IS_CARRIED}`,
    );
    for (const id of carriedRows(db)) restore.run(id);
  }
  checkedStates.set(path, state);
}

function carriedRows(db: Database.Database): number[] {
  const fullText = db
    .prepare(`SELECT 1 FROM main.sqlite_master WHERE name = 'observations_fts' AND sql LIKE '%concepts%'`)
    .get();
  if (fullText === undefined) return [];
  return db
    .prepare(
      `SELECT id FROM main.observations WHERE ${IS_CARRIED} AND id IN
       (SELECT rowid FROM main.observations_fts WHERE observations_fts MATCH 'concepts : membridge')`,
    )
    .pluck()
    .all() as number[];
}
