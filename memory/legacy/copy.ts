import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import Database from 'better-sqlite3';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { canonicalDigests, countRows } from '../detect/canonical-hash.ts';
import { shadowOldTables } from '../claude-mem/table-form.ts';
import { findFullTextProblems, type FullTextProblem } from '../claude-mem/full-text.ts';
import { mendFullText } from '../claude-mem/mend-full-text.ts';
import { openForReading } from '../claude-mem/open.ts';
import { RowReader, isInMadeUpSession, type MemoryRow } from '../claude-mem/read.ts';
import { detectSchema, type ClaudeMemSchema } from '../claude-mem/schema.ts';
import { RowWriter } from '../claude-mem/write.ts';
import { differingColumns } from '../merge/fold.ts';
import { KINDS, SHAPES, type Kind } from '../format/kinds.ts';
import { isStub } from '../ledger/entities.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { SpaceProjects } from '../space/space-projects.ts';
import { redactRow } from '../space/redact.ts';
import type { SyncSession } from '../session.ts';
import type { Row } from '../format/values.ts';
import { Coverage } from './coverage.ts';
import { findEchoes, rowId } from './find-echoes.ts';
import type { SnapshotCounts } from './objects.ts';
import { findIntegrityProblem } from './snapshot.ts';

/** The contents of a snapshot. */
export interface CopiedSnapshot {
  readonly counts: SnapshotCounts;
  /** SHA-256 in hex over its memories: equal for equal memories, regardless of the file's bytes. */
  readonly content: string;
}

/** Rows read per step. */
const PAGE_ROWS = 500;

/** Tables whose rows a snapshot keeps, in addition to memories. */
const KEPT_TABLES = new Set(['schema_versions']);

/**
 * Writes a copy of claude-mem's database with only what a space may see: its projects, under its names,
 * without secrets, and without machine-local tables. Only reads claude-mem's own file.
 * @param path the target; it must not exist, and needs room for the database twice
 * @throws MembridgeError memory_corrupt when SQLite finds the copy damaged
 */
export async function copyForSpace(
  session: SyncSession,
  config: SpaceConfig,
  path: string,
  progress: (text: string) => void,
): Promise<CopiedSnapshot> {
  progress('copying the database');
  const whole = `${path}.whole`;
  vacuumInto(session.path, whole);
  session.signal.throwIfAborted();
  await narrow(session, config, whole, progress);
  progress('packing the snapshot');
  vacuumInto(whole, path);
  rmSync(whole);
  session.signal.throwIfAborted();
  progress('checking the snapshot');
  const db = openForReading(path);
  try {
    const problem = findIntegrityProblem(db);
    if (problem !== null) {
      throw new MembridgeError(
        'memory_corrupt',
        `A copy of ${session.path} is damaged (${problem}), so it was not published. Check the database with "PRAGMA integrity_check".`,
      );
    }
    const tables = db
      .prepare(`SELECT count(*) FROM main.sqlite_master WHERE type = 'table'`)
      .pluck()
      .get() as number;
    return { counts: { ...countRows(db), tables }, content: contentDigest(db, path) };
  } finally {
    db.close();
  }
}

/** Writes a database to another file that contains only its rows, without free pages. */
function vacuumInto(from: string, to: string): void {
  // A separate connection, because the views that shadow old tables would be in the way.
  const db = new Database(from, { readonly: true, fileMustExist: true });
  try {
    db.prepare('VACUUM INTO ?').run(to);
  } finally {
    db.close();
  }
}

/** Removes from a copy what a space may not see. */
async function narrow(
  session: SyncSession,
  config: SpaceConfig,
  whole: string,
  progress: (text: string) => void,
): Promise<void> {
  let triggers: string[];
  let changed: boolean;
  const rows = new Database(whole);
  try {
    // Cascades and triggers serve claude-mem's own work; the full-text indexes are rebuilt at the end.
    rows.pragma('foreign_keys = OFF');
    triggers = dropTriggers(rows);
    shadowOldTables(rows);
    const schema = detectSchema(rows, whole);
    changed = await new Narrowing(rows, schema, config, session.ledger).run(session.signal, progress);
  } finally {
    rows.close();
  }
  // Without the views of old tables, which would block triggers.
  const tables = new Database(whole);
  try {
    tables.pragma('foreign_keys = OFF');
    for (const table of foreignTables(tables)) tables.exec(`DELETE FROM ${quote(table)}`);
  } finally {
    tables.close();
  }
  // A damaged index in the snapshot would stop claude-mem from saving anything on every machine that pulls
  // it.
  mendFullTexts(whole);
  const indexes = new Database(whole);
  try {
    if (changed) rebuildFullTexts(indexes);
    for (const sql of triggers) indexes.exec(sql);
  } finally {
    indexes.close();
  }
}

/** Removes from a copy what does not belong to the space. */
class Narrowing {
  readonly #db: Database.Database;
  readonly #reader: RowReader;
  readonly #writer: RowWriter;
  readonly #coverage: Coverage;
  readonly #config: SpaceConfig;
  readonly #names: SpaceProjects;
  readonly #schema: ClaudeMemSchema;
  readonly #ledger: Ledger;
  #echoes: ReadonlySet<string> = new Set();

  /** @param ledger knows which rows, by id, hold memories */
  constructor(db: Database.Database, schema: ClaudeMemSchema, config: SpaceConfig, ledger: Ledger) {
    this.#ledger = ledger;
    this.#db = db;
    this.#schema = schema;
    this.#reader = new RowReader(db, schema);
    this.#writer = new RowWriter(db);
    this.#coverage = new Coverage(db, schema, config);
    this.#config = config;
    this.#names = new SpaceProjects(config);
  }

  /** @returns whether any row was removed or changed */
  async run(signal: AbortSignal, progress: (text: string) => void): Promise<boolean> {
    let changed = false;
    // Before any row is changed: a redacted memory no longer equals its copy.
    this.#echoes = findEchoes(this.#reader, signal);
    // A row is judged by its session, so sessions come last.
    for (const kind of KINDS.toReversed()) {
      for (let last = 0; ;) {
        signal.throwIfAborted();
        const rows = this.#reader.readAfter(kind, last, PAGE_ROWS);
        last = rows.at(-1)?.id ?? last;
        changed = this.#db.transaction(() => this.#page(kind, rows))() || changed;
        progress(`looking through the copy: ${SHAPES[kind].table} ${last}`);
        if (rows.length < PAGE_ROWS) break;
        await new Promise(setImmediate);
      }
    }
    return changed;
  }

  #page(kind: Kind, rows: readonly MemoryRow[]): boolean {
    let changed = false;
    for (const each of rows) {
      const row = each.isReplica ? this.#settleReplica(each) : each;
      if (row === null) {
        this.#writer.remove(kind, each.id);
        changed = true;
        continue;
      }
      if (this.#coverage.hasNameOf(row)) {
        this.#writer.update(kind, row.id, stripSession(row));
        changed = true;
        continue;
      }
      if (!this.#coverage.has(row) || this.#isEmptyStub(row)) {
        this.#writer.remove(kind, row.id);
        changed = true;
        continue;
      }
      const here: Row = { ...row.set, ...row.extra };
      const named = this.#names.rowToSpace(here);
      const told = this.#config.redact === false ? named : redactRow(named);
      const columns = differingColumns(told, here, Object.keys(here)).filter((column) =>
        this.#schema.columns[kind].has(column),
      );
      if (columns.length === 0) continue;
      this.#writer.update(
        kind,
        row.id,
        Object.fromEntries(columns.map((column) => [column, told[column] ?? null])),
      );
      changed = true;
    }
    return changed;
  }

  /**
   * Returns whether a row is a stub session that no row of the copy needs. A machine that imports it takes it for
   * a session of its own. Sessions come last, so rows that are left out are gone by now.
   */
  #isEmptyStub({ kind, id }: MemoryRow): boolean {
    if (kind !== 'session') return false;
    const entity = this.#ledger.entities.byRow(kind, id);
    return entity !== null && isStub(entity) && !this.#reader.hasChildren(id);
  }

  /**
   * Decides what happens to a row that another sync wrote. A copy of a memory that has its own row is left
   * out (null). A prompt returns to its own session if the machine that wrote it has sent it.
   */
  #settleReplica(row: MemoryRow): MemoryRow | null {
    const entity = this.#ledger.entities.byRow(row.kind, row.id);
    if (entity === null) return null;
    if (!isInMadeUpSession(row)) return this.#echoes.has(rowId(row)) ? null : row;
    const { changes } = this.#db
      .prepare(
        `UPDATE user_prompts SET session_db_id = own.id FROM sdk_sessions own
         WHERE user_prompts.id = ? AND own.content_session_id = user_prompts.content_session_id`,
      )
      .run(row.id);
    return entity.version.counter === 0 || changes === 0 ? null : this.#reader.byId(row.kind, row.id);
  }
}

/** Empties a session down to its name and times. */
function stripSession({ set, extra }: MemoryRow): Row {
  const said = [...SHAPES.session.registers.filter((column) => column in set), ...Object.keys(extra ?? {})];
  return { ...Object.fromEntries(said.map((column) => [column, null])), project: '' };
}

/**
 * Returns a digest that is equal for equal memories in any order: it adds up the digests, each as four 64-bit
 * numbers.
 */
function contentDigest(db: Database.Database, path: string): string {
  const sums = new BigUint64Array(4);
  for (const { kind, digest } of canonicalDigests(db, path)) {
    const bytes = createHash('sha256').update(`${kind}:${digest}`).digest();
    sums.forEach((sum, lane) => {
      sums[lane] = sum + bytes.readBigUInt64LE(lane * 8);
    });
  }
  return createHash('sha256').update(sums).digest('hex');
}

function dropTriggers(db: Database.Database): string[] {
  const triggers = db.prepare(`SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger'`).all() as {
    name: string;
    sql: string;
  }[];
  for (const { name } of triggers) db.exec(`DROP TRIGGER main.${quote(name)}`);
  return triggers.map(({ sql }) => sql);
}

/** Returns ordinary tables without memories: queues, claude-mem's own sync, raw tool output. */
function foreignTables(db: Database.Database): string[] {
  const memories = new Set(KINDS.map((kind) => SHAPES[kind].table));
  const tables = db.pragma('main.table_list') as { schema: string; name: string; type: string }[];
  return tables
    .filter(({ schema, type }) => schema === 'main' && type === 'table')
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('sqlite_') && !memories.has(name) && !KEPT_TABLES.has(name));
}

/** Repairs damaged full-text indexes of claude-mem. */
function mendFullTexts(path: string): void {
  const db = new Database(path);
  let problems: FullTextProblem[];
  try {
    problems = findFullTextProblems(db, { thorough: false });
  } finally {
    db.close();
  }
  for (const problem of problems) mendFullText(path, problem, []);
}

function rebuildFullTexts(db: Database.Database): void {
  const tables = db
    .prepare(
      `SELECT name FROM main.sqlite_master WHERE type = 'table' AND lower(sql) LIKE 'create virtual table%fts5%'`,
    )
    .pluck()
    .all() as string[];
  for (const table of tables) db.exec(`INSERT INTO ${quote(table)}(${quote(table)}) VALUES ('rebuild')`);
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
