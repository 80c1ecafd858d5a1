import { createHash } from 'node:crypto';
import type Database from 'better-sqlite3';
import { SHAPES, type Kind } from '../kinds.ts';
import { DEFAULT_PLATFORM } from '../keys.ts';
import { toBinding, type Row, type Value } from '../values.ts';
import { carryType } from './carried-type.ts';
import { inspectForm, physicalName, sourceOf, type TableForm } from './form.ts';

/** Sizes of the groups that rows are inserted in, so that few statements are prepared. */
const GROUPS = [50, 10, 1] as const;

/**
 * Inserts and updates rows of claude-mem inside the caller's transaction. Never a local id: AUTOINCREMENT gives them,
 * in order, as claude-mem's own timeline and vector index expect.
 */
export class RowWriter {
  readonly #db: Database.Database;
  readonly #form: TableForm;
  readonly #statements = new Map<string, Database.Statement<unknown[]>>();

  constructor(db: Database.Database) {
    this.#db = db;
    this.#form = inspectForm(db);
  }

  /** @returns the new row's local id. @throws SqliteError when a constraint forbids the row */
  insert(kind: Kind, row: Row): number {
    return this.#insertGroup(kind, [row]);
  }

  /**
   * Inserts rows that have values for the same columns, in groups: a full-text index is flushed once a statement, which
   * makes rows one by one three times as slow (3,539 against 9,929 rows/s).
   * @returns their local ids, in order
   * @throws SqliteError when a constraint forbids any of them; then rows before it may be there
   */
  insertMany(kind: Kind, rows: readonly Row[]): number[] {
    const ids: number[] = [];
    while (ids.length < rows.length) {
      const size = GROUPS.find((group) => group <= rows.length - ids.length) ?? 1;
      const last = this.#insertGroup(kind, rows.slice(ids.length, ids.length + size));
      // AUTOINCREMENT numbers the rows of one statement in order; nobody else writes meanwhile.
      for (let back = size - 1; back >= 0; back -= 1) ids.push(last - back);
    }
    return ids;
  }

  /** @returns the last row's local id */
  #insertGroup(kind: Kind, rows: readonly Row[]): number {
    const physical = rows.map((row) =>
      this.#toPhysical(
        kind,
        kind === 'observation'
          ? { ...row, ...carryType(row['type'] ?? null, row['concepts'] ?? null, this.#form.types) }
          : row,
      ),
    );
    const columns = Object.keys(physical[0] ?? {});
    const bindings = physical.map((row) => columns.map((column) => toBinding(row[column] ?? null)));
    const tuples = bindings.map((row) => `(${row.map(placeholder).join(', ')})`);
    const sql = `INSERT INTO main.${SHAPES[kind].table} (${columns.map(quote).join(', ')})
      VALUES ${tuples.join(', ')}`;
    const result = this.#prepare(sql).run(bindings.flat().map(({ bind }) => bind));
    return Number(result.lastInsertRowid);
  }

  /** Changes columns of one row. @throws SqliteError when a constraint forbids it */
  update(kind: Kind, id: number, changes: Row): void {
    const retyped = kind === 'observation' && ('concepts' in changes || 'type' in changes);
    const physical = this.#toPhysical(kind, retyped ? this.#withType(id, changes) : changes);
    const columns = Object.keys(physical);
    if (columns.length === 0) return;
    const bindings = columns.map((column) => toBinding(physical[column] ?? null));
    const sets = columns.map(
      (column, index) => `${quote(column)} = ${placeholder(bindings[index] ?? PLAIN)}`,
    );
    this.#prepare(`UPDATE main.${SHAPES[kind].table} SET ${sets.join(', ')} WHERE id = ?`).run([
      ...bindings.map((binding) => binding.bind),
      id,
    ]);
  }

  /** Deletes one row; for a session, with everything that belongs to it. */
  remove(kind: Kind, id: number): void {
    this.#prepare(`DELETE FROM main.${SHAPES[kind].table} WHERE id = ?`).run([id]);
  }

  /** A row's columns as this file names them, with what it has no column for put where it is read from again. */
  #toPhysical(kind: Kind, row: Row): Row {
    const { platform_source: platform, ...rest } = row;
    const physical: Record<string, Value> = {};
    const values = kind === 'session' && !this.#form.hasPlatform ? rest : row;
    for (const [column, value] of Object.entries(values)) {
      physical[physicalName(this.#form, kind, column)] = value;
    }
    if (values === rest && platform !== undefined && platform !== DEFAULT_PLATFORM) {
      physical['worker_port'] = platform;
    }
    return physical;
  }

  /** Type and concepts are written together: the one may be carried in the other. */
  #withType(id: number, changes: Row): Row {
    const current = this.#prepare(
      `SELECT type, concepts FROM ${sourceOf(this.#form, 'observation')} WHERE id = ?`,
    ).get(id) as Row | undefined;
    const { type, concepts } = { ...current, ...changes };
    return { ...changes, ...carryType(type ?? null, concepts ?? null, this.#form.types) };
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
