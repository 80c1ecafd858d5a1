import { createHash } from 'node:crypto';
import type Database from 'better-sqlite3';
import { KINDS, SHAPES, type Kind } from '../format/kinds.ts';
import { DEFAULT_PLATFORM } from '../format/keys.ts';
import { toBinding, type Row, type Value } from '../format/values.ts';
import { carryType } from './carried-type.ts';
import { inspectForm, newestName, physicalName, sourceSql, type TableForm } from './table-form.ts';

/** From this many rows on, one statement inserts them all from a temporary table. */
const BULK_INSERT_ROWS = 8;

/**
 * Inserts and updates claude-mem rows inside the caller's transaction. Never sets a local id: AUTOINCREMENT
 * assigns them in order, which claude-mem's timeline and vector index rely on.
 */
export class RowWriter {
  readonly #db: Database.Database;
  readonly #form: TableForm;
  readonly #statements = new Map<string, Database.Statement<unknown[]>>();
  /** Temporary tables that rows are gathered in, by their columns. */
  readonly #gathered = new Map<string, string>();
  /** Kinds whose synced columns all exist in this file under the same names. */
  readonly #alike: ReadonlySet<Kind>;
  #sessionWrites = 0;

  constructor(db: Database.Database) {
    this.#db = db;
    const form = inspectForm(db);
    this.#form = form;
    const isNewest = (kind: Kind): boolean =>
      form.physical[kind].every((column) => newestName(column) === column) &&
      (kind !== 'session' || form.hasPlatform);
    this.#alike = new Set(KINDS.filter(isNewest));
  }

  /** Number of writes and deletions of sessions by this writer; invalidates what was read earlier. */
  get sessionWrites(): number {
    return this.#sessionWrites;
  }

  /** @returns the new row's local id. @throws SqliteError when a constraint forbids the row */
  insert(kind: Kind, row: Row): number {
    if (kind === 'session') this.#sessionWrites += 1;
    return this.#insertInto(`main.${SHAPES[kind].table}`, this.#physicalRow(kind, row));
  }

  /**
   * Inserts rows that have the same columns, all or none. Uses one statement for many rows, because a
   * full-text index is flushed once per statement. (Measured: 3,539 rows/s singly, 9,700 in statements of 50,
   * 16,700 in statements of 1,000.)
   * @returns their local ids, in order
   * @throws SqliteError when a constraint forbids any of them; then none is inserted
   */
  insertMany(kind: Kind, rows: readonly Row[]): number[] {
    if (kind === 'session') this.#sessionWrites += 1;
    const table = `main.${SHAPES[kind].table}`;
    const physical = rows.map((row) => this.#physicalRow(kind, row));
    if (physical.length < BULK_INSERT_ROWS) {
      return this.#db.transaction(() => physical.map((row) => this.#insertInto(table, row)))();
    }
    const columns = Object.keys(physical[0] ?? {})
      .map(quote)
      .join(', ');
    const gathered = this.#gatheredIn(columns);
    const gather = this.#prepare(
      `INSERT INTO ${gathered} (${columns}) VALUES (${columns.replaceAll(/"(?:[^"]|"")*"/g, '?')})`,
    );
    for (const row of physical) {
      const values = Object.values(row);
      // A text that is sent as bytes needs its own statement, which stores it as text.
      if (values.every(isPlain)) gather.run(values);
      else this.#insertInto(gathered, row);
    }
    try {
      const { lastInsertRowid } = this.#prepare(
        `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM ${gathered} ORDER BY rowid`,
      ).run();
      // AUTOINCREMENT numbers the rows of one statement in order, and no other connection writes during it.
      const before = Number(lastInsertRowid) - physical.length;
      return physical.map((_row, index) => before + 1 + index);
    } finally {
      this.#prepare(`DELETE FROM ${gathered}`).run();
    }
  }

  /** Returns a temporary table with these columns that accepts any values. */
  #gatheredIn(columns: string): string {
    let table = this.#gathered.get(columns);
    if (table === undefined) {
      table = `temp.membridge_gathered_${this.#gathered.size}`;
      this.#db.exec(`CREATE TABLE ${table} (${columns})`);
      this.#gathered.set(columns, table);
    }
    return table;
  }

  /** @returns the row's id */
  #insertInto(table: string, row: Row): number {
    const bindings = Object.values(row).map(toBinding);
    const sql = `INSERT INTO ${table} (${Object.keys(row).map(quote).join(', ')})
      VALUES (${bindings.map(placeholder).join(', ')})`;
    return Number(this.#prepare(sql).run(bindings.map(({ bind }) => bind)).lastInsertRowid);
  }

  #physicalRow(kind: Kind, row: Row): Row {
    if (kind !== 'observation') return this.#toPhysical(kind, row);
    const { type = null, concepts = null } = row;
    const carried = carryType(type, concepts, this.#form.types);
    const isAsItIs = carried['type'] === type && carried['concepts'] === concepts;
    return this.#toPhysical(kind, isAsItIs ? row : { ...row, ...carried });
  }

  /** Changes columns of one row. @throws SqliteError when a constraint forbids it */
  update(kind: Kind, id: number, changes: Row): void {
    if (kind === 'session') this.#sessionWrites += 1;
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

  /** Deletes one row; for a session, also all its rows. */
  remove(kind: Kind, id: number): void {
    if (kind === 'session') this.#sessionWrites += 1;
    this.#prepare(`DELETE FROM main.${SHAPES[kind].table} WHERE id = ?`).run([id]);
  }

  /** Returns a row with this file's column names. A value without a column goes where reads look for it. */
  #toPhysical(kind: Kind, row: Row): Row {
    if (this.#alike.has(kind)) return row;
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

  /** Type and concepts are written together, because the concepts may carry the type. */
  #withType(id: number, changes: Row): Row {
    const current = this.#prepare(
      `SELECT type, concepts FROM ${sourceSql(this.#form, 'observation')} WHERE id = ?`,
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

const isPlain = (value: Value): boolean => typeof value !== 'object' || value === null;
const PLAIN = { asText: false };
const quote = (column: string): string => `"${column.replaceAll('"', '""')}"`;
const placeholder = (binding: { asText: boolean }): string => (binding.asText ? 'CAST(? AS TEXT)' : '?');

/**
 * Returns claude-mem's content hash since 12.0.0: the first 16 hex digits of a SHA-256. Its input is
 * memory_session_id, title and narrative, joined by NULs (verified against claude-mem's own rows).
 */
export function contentHash(memorySessionId: string, title: Value, narrative: Value): string {
  const text = (value: Value): string => (typeof value === 'string' ? value : '');
  return createHash('sha256')
    .update(`${memorySessionId}\0${text(title)}\0${text(narrative)}`, 'utf8')
    .digest('hex')
    .slice(0, 16);
}
