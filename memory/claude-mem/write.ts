import { createHash } from 'node:crypto';
import type Database from 'better-sqlite3';
import { SHAPES, type Kind } from '../kinds.ts';
import { toBinding, type Row, type Value } from '../values.ts';

/**
 * Inserts and updates rows of claude-mem inside the caller's transaction. Never a local id: AUTOINCREMENT gives them,
 * in order, as claude-mem's own timeline and vector index expect.
 */
export class RowWriter {
  readonly #db: Database.Database;
  readonly #statements = new Map<string, Database.Statement<unknown[]>>();

  constructor(db: Database.Database) {
    this.#db = db;
  }

  /** @returns the new row's local id. @throws SqliteError when a constraint forbids the row */
  insert(kind: Kind, row: Row): number {
    const columns = Object.keys(row);
    const bindings = columns.map((column) => toBinding(row[column] ?? null));
    const sql = `INSERT INTO ${SHAPES[kind].table} (${columns.map(quote).join(', ')})
      VALUES (${bindings.map(placeholder).join(', ')})`;
    const result = this.#prepare(sql).run(bindings.map((binding) => binding.bind));
    return Number(result.lastInsertRowid);
  }

  /** Changes columns of one row. @throws SqliteError when a constraint forbids it */
  update(kind: Kind, id: number, changes: Row): void {
    const columns = Object.keys(changes);
    if (columns.length === 0) return;
    const bindings = columns.map((column) => toBinding(changes[column] ?? null));
    const sets = columns.map(
      (column, index) => `${quote(column)} = ${placeholder(bindings[index] ?? PLAIN)}`,
    );
    this.#prepare(`UPDATE ${SHAPES[kind].table} SET ${sets.join(', ')} WHERE id = ?`).run([
      ...bindings.map((binding) => binding.bind),
      id,
    ]);
  }

  /** Deletes one row; for a session, with everything that belongs to it. */
  remove(kind: Kind, id: number): void {
    this.#prepare(`DELETE FROM ${SHAPES[kind].table} WHERE id = ?`).run([id]);
  }

  #prepare(sql: string): Database.Statement<unknown[]> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

const PLAIN = { asText: false };
const quote = (column: string): string => `"${column.replaceAll('"', '""')}"`;
const placeholder = (binding: { asText: boolean }): string => (binding.asText ? 'CAST(? AS TEXT)' : '?');

/**
 * claude-mem's content hash since 12.0.0: the first 16 hex digits of SHA-256 over memory_session_id, title and
 * narrative with NULs between (verified against its own rows).
 */
export function contentHash(memorySessionId: string, title: Value, narrative: Value): string {
  const text = (value: Value): string => (typeof value === 'string' ? value : '');
  return createHash('sha256')
    .update(`${memorySessionId}\0${text(title)}\0${text(narrative)}`, 'utf8')
    .digest('hex')
    .slice(0, 16);
}
