import { closeSync, fsyncSync, openSync, rmSync, statSync, chmodSync } from 'node:fs';
import Database from 'better-sqlite3';
import { MembridgeError } from '../../contract/errors.ts';
import { inspectForm, physicalName, type TableForm } from '../claude-mem/table-form.ts';
import { KINDS, SHAPES, UNITS, registersOf, type Kind } from '../format/kinds.ts';
import { EVERY_SPACE } from '../ledger/entities.ts';

/** The inputs of a restored database. */
export interface Sources {
  /** claude-mem's current database. */
  readonly local: string;
  /** Its ledger. */
  readonly ledger: string;
  /** The space as it was, and the ledger of that (model.ts). */
  readonly model: string;
  readonly modelLedger: string;
  /** The space's number in the ledger. */
  readonly space: number;
  /**
   * Returns whether the space's text in a column stands for the local text: local project names and secrets
   * stay here.
   */
  readonly isToldAs: (column: string, here: string, told: unknown) => boolean;
}

/** Numbers of rows in a restored database, by origin. */
export interface Assembled {
  /** Memories of the space that exist now too; they keep their local ids. */
  readonly same: number;
  /** Memories of the space that were brought back. */
  readonly back: number;
  /** Rows that belong to no space, were never sent, or are known to another space too. */
  readonly kept: number;
  /** Rows of the space that did not exist at that time. */
  readonly gone: number;
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const list = (names: readonly string[]): string => names.map(quote).join(', ');

interface SchemaObject {
  readonly type: string;
  readonly name: string;
  readonly tbl_name: string;
  readonly sql: string;
}

/**
 * Writes a restored database to a new file: the space's memories as they were, everything else as it is.
 * Existing rows keep their local ids and machine-local values, because claude-mem's vector index and timeline
 * refer to the ids. Creates indexes, full-text search and triggers after the rows.
 * @param path the file to write; an existing one is a remnant and is removed
 * @throws MembridgeError memory_corrupt when the result does not pass SQLite's checks; SqliteError
 */
export function assemble(path: string, sources: Sources, progress: (text: string) => void): Assembled {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${path}${suffix}`, { force: true });
  const db = new Database(path);
  try {
    db.pragma('foreign_keys = OFF');
    db.function('is_told_as', { deterministic: true }, (column: unknown, here: unknown, told: unknown) =>
      typeof here === 'string' && sources.isToldAs(String(column), here, told) ? 1 : 0,
    );
    db.prepare('ATTACH ? AS local').run(sources.local);
    db.prepare('ATTACH ? AS ledger').run(sources.ledger);
    db.prepare('ATTACH ? AS model').run(sources.model);
    db.prepare('ATTACH ? AS told').run(sources.modelLedger);
    db.pragma(`main.page_size = ${String(db.pragma('local.page_size', { simple: true }))}`);
    db.pragma(`main.auto_vacuum = ${String(db.pragma('local.auto_vacuum', { simple: true }))}`);
    db.pragma('main.journal_mode = OFF');
    db.pragma('main.synchronous = OFF');
    // One consistent view of the local database throughout.
    const assembled = db.transaction(() => new Assembly(db, sources.space).run(progress))();
    for (const name of ['local', 'ledger', 'model', 'told']) db.exec(`DETACH ${name}`);
    progress('checking the restored database');
    check(db, path);
    db.pragma('main.synchronous = FULL');
    db.pragma('main.journal_mode = WAL');
    return assembled;
  } finally {
    db.close();
    const { mode } = statSync(sources.local);
    chmodSync(path, mode & 0o777);
    sync(path);
  }
}

/** Flushes a file to disk. */
export function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

class Assembly {
  readonly #db: Database.Database;
  readonly #space: number;
  readonly #form: TableForm;
  readonly #objects: readonly SchemaObject[];
  readonly #fullText: ReadonlySet<string>;

  constructor(db: Database.Database, space: number) {
    this.#db = db;
    this.#space = space;
    this.#objects = db
      .prepare(
        `SELECT type, name, tbl_name, sql FROM local.sqlite_schema
         WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid`,
      )
      .all() as SchemaObject[];
    this.#fullText = new Set(
      this.#objects.filter(({ sql }) => /^\s*CREATE\s+VIRTUAL\s+TABLE/i.test(sql)).map(({ name }) => name),
    );
    for (const each of this.#objects) if (this.#isPlainTable(each)) db.exec(each.sql);
    this.#form = inspectForm(db);
  }

  run(progress: (text: string) => void): Assembled {
    for (const { name } of this.#objects.filter((each) => this.#isPlainTable(each))) {
      if (!KINDS.some((kind) => SHAPES[kind].table === name)) this.#copyTable(name);
    }
    this.#db.exec(
      `CREATE TEMP TABLE needed (kind INTEGER, row INTEGER, PRIMARY KEY (kind, row)) WITHOUT ROWID`,
    );
    for (const kind of KINDS) this.#match(kind);
    this.#findNeededSessions();
    const assembled = { same: 0, back: 0, kept: 0, gone: 0 };
    for (const kind of KINDS) {
      const rows = kind === 'session' ? this.#writeSessions() : this.#writeChildren(kind);
      assembled.same += rows.same;
      assembled.back += rows.back;
      assembled.kept += rows.kept;
      const { table } = SHAPES[kind];
      const before = this.#count(`SELECT count(*) FROM local.${table}`);
      assembled.gone += before - rows.same - rows.kept;
      progress(`wrote ${rows.same + rows.back + rows.kept} rows of ${table}`);
    }
    this.#finish(progress);
    return assembled;
  }

  #isPlainTable({ type, name }: SchemaObject): boolean {
    if (type !== 'table' || this.#fullText.has(name)) return false;
    // FTS5 creates the shadow tables of an index together with it.
    const [, owner = ''] = /^(.*)_(?:data|idx|content|docsize|config)$/.exec(name) ?? [];
    return !this.#fullText.has(owner);
  }

  #columns(table: string): string[] {
    const columns = this.#db.pragma(`local.table_xinfo(${quote(table)})`) as {
      name: string;
      hidden: number;
    }[];
    return columns.filter(({ hidden }) => hidden === 0).map(({ name }) => name);
  }

  #copyTable(table: string): void {
    const columns = list(this.#columns(table));
    this.#db.exec(
      `INSERT INTO main.${quote(table)} (${columns}) SELECT ${columns} FROM local.${quote(table)}`,
    );
  }

  #count(sql: string): number {
    return this.#db.prepare(sql).pluck().get() as number;
  }

  #insert(sql: string): number {
    return this.#db.prepare(sql).run().changes;
  }

  /** Maps each row of the model to a local row: the one that holds the memory now, else a new one. */
  #match(kind: Kind): void {
    const { code, table } = SHAPES[kind];
    const map = `map_${kind}`;
    this.#db.exec(`
      CREATE TEMP TABLE ${map} (model INTEGER PRIMARY KEY, row INTEGER, here INTEGER NOT NULL DEFAULT 1);
      INSERT INTO ${map} (model, row)
        SELECT t.row, min(l.row) FROM told.entity t
        LEFT JOIN ledger.entity l ON l.key = t.key AND l.kind = t.kind AND l.row IN (SELECT id FROM local.${table})
        WHERE t.kind = ${code} AND t.row IS NOT NULL AND t.dead = 0 AND t.row IN (SELECT id FROM model.${table})
        GROUP BY t.row;
      UPDATE ${map} SET row = NULL WHERE row IS NOT NULL
        AND model NOT IN (SELECT min(model) FROM ${map} WHERE row IS NOT NULL GROUP BY row);
      UPDATE ${map} SET here = 0, row = (
          SELECT max(coalesce((SELECT seq FROM local.sqlite_sequence WHERE name = '${table}'), 0),
                     coalesce((SELECT max(id) FROM local.${table}), 0))
        ) + fresh.n
        FROM (SELECT model, row_number() OVER (ORDER BY model) AS n FROM ${map} WHERE row IS NULL) AS fresh
        WHERE fresh.model = ${map}.model;
      CREATE UNIQUE INDEX temp.${map}_row ON ${map} (row);
      INSERT INTO needed (kind, row)
        SELECT ${code}, id FROM local.${table} x WHERE id NOT IN (SELECT row FROM ${map}) AND (
          NOT EXISTS (
            SELECT 1 FROM ledger.entity l WHERE l.kind = ${code} AND l.row = x.id AND l.spaces & ${2 ** this.#space} <> 0)
          OR EXISTS (
            SELECT 1 FROM ledger.entity l WHERE l.kind = ${code} AND l.row = x.id AND l.dead = 0
            AND l.spaces <> ${EVERY_SPACE} AND l.spaces & ~${2 ** this.#space} <> 0));
    `);
  }

  /** Keeps a session that would be removed while a kept row belongs to it. */
  #findNeededSessions(): void {
    const form = this.#form;
    const memory = quote(physicalName(form, 'session', 'memory_session_id'));
    const content = quote(physicalName(form, 'session', 'content_session_id'));
    const links = KINDS.filter((kind) => kind !== 'session').map((kind) => {
      const { code, table } = SHAPES[kind];
      const kept = `x.id IN (SELECT row FROM needed WHERE kind = ${code})`;
      if (kind !== 'prompt') {
        const link = quote(physicalName(form, kind, 'memory_session_id'));
        return `SELECT s.id FROM local.sdk_sessions s JOIN local.${table} x ON x.${link} = s.${memory} WHERE ${kept}`;
      }
      const name = quote(physicalName(form, kind, 'content_session_id'));
      const byName = `SELECT s.id FROM local.sdk_sessions s JOIN local.${table} x ON x.${name} = s.${content} WHERE ${kept}`;
      if (!form.physical.prompt.includes('session_db_id')) return byName;
      return `SELECT x.session_db_id FROM local.${table} x WHERE x.session_db_id IS NOT NULL AND ${kept}
        UNION ${byName} AND x.session_db_id IS NULL`;
    });
    this.#db.exec(
      `
      INSERT OR IGNORE INTO needed (kind, row)
        SELECT ${SHAPES.session.code}, id FROM (${links.join(' UNION ')}) AS linked
        WHERE id IN (SELECT id FROM local.sdk_sessions) AND id NOT IN (SELECT row FROM map_session);
    `.replaceAll('SELECT x.session_db_id FROM', 'SELECT x.session_db_id AS id FROM'),
    );
  }

  /**
   * Returns SQL for a column that depends on the time, in an existing row. The local text stays if the earlier
   * text is only the space's form of it.
   */
  #then(kind: Kind, column: string): string {
    const [here, then] = [`x.${quote(column)}`, `m.${quote(column)}`];
    if (!registersOf(kind).includes(column)) return then;
    return `CASE WHEN ${here} IS NOT ${then} AND is_told_as('${column}', ${here}, ${then}) THEN ${here} ELSE ${then} END`;
  }

  /** Returns the columns that depend on the time; an existing row keeps its other columns. */
  #decided(kind: Kind): Set<string> {
    const columns = UNITS[kind].flatMap((unit) => unit.columns);
    return new Set(columns.map((column) => physicalName(this.#form, kind, column)));
  }

  #writeSessions(): { same: number; back: number; kept: number } {
    const table = SHAPES.session.table;
    const memory = physicalName(this.#form, 'session', 'memory_session_id');
    const columns = this.#columns(table);
    const decided = this.#decided('session');
    const mixed = columns.map((column) =>
      decided.has(column) ? this.#then('session', column) : `x.${quote(column)}`,
    );
    const kept = this.#keep('session');
    const same = this.#insert(`
      INSERT INTO main.${table} (${list(columns)}) SELECT ${mixed.join(', ')}
      FROM map_session p JOIN local.${table} x ON x.id = p.row JOIN model.${table} m ON m.id = p.model
      WHERE p.here = 1 ORDER BY p.row`);
    // A memory_session_id belongs to one session. If another session has it here, the row gets a new one.
    const taken = `EXISTS (SELECT 1 FROM local.${table} y WHERE y.${quote(memory)} = m.${quote(memory)}
      AND y.id IN (SELECT id FROM main.${table}))`;
    const fresh = columns.map((column) => {
      if (column === 'id') return 'p.row';
      if (column !== memory) return `m.${quote(column)}`;
      return `CASE WHEN ${taken} THEN 'membridge-restored-' || p.row ELSE m.${quote(memory)} END`;
    });
    const back = this.#insert(`
      INSERT INTO main.${table} (${list(columns)}) SELECT ${fresh.join(', ')}
      FROM map_session p JOIN model.${table} m ON m.id = p.model WHERE p.here = 0 ORDER BY p.row`);
    // Rows of the model need a memory_session_id even if the worker has not assigned one yet.
    this.#db.exec(`
      UPDATE main.${table} SET ${quote(memory)} = 'membridge-restored-' || id
      WHERE ${quote(memory)} IS NULL AND id IN (
        SELECT p.row FROM map_session p JOIN model.${table} m ON m.id = p.model
        WHERE p.here = 1 AND m.${quote(memory)} IS NOT NULL)`);
    return { same, back, kept };
  }

  #writeChildren(kind: 'prompt' | 'summary' | 'observation'): { same: number; back: number; kept: number } {
    const { table } = SHAPES[kind];
    const columns = this.#columns(table);
    const decided = this.#decided(kind);
    const link = kind === 'prompt' ? 'session_db_id' : physicalName(this.#form, kind, 'memory_session_id');
    const memory = quote(physicalName(this.#form, 'session', 'memory_session_id'));
    const linked = kind === 'prompt' ? 'p2.row' : `f.${memory}`;
    const sessionOf =
      kind === 'prompt'
        ? columns.includes('session_db_id')
          ? 'LEFT JOIN map_session p2 ON p2.model = m.session_db_id'
          : ''
        : `LEFT JOIN model.sdk_sessions s ON s.${memory} = m.${quote(link)}
           LEFT JOIN map_session p2 ON p2.model = s.id LEFT JOIN main.sdk_sessions f ON f.id = p2.row`;
    const pick = (hash: string | null, ownColumns: boolean): string =>
      columns
        .map((column) => {
          if (column === 'id') return 'p.row';
          if (column === link) return `coalesce(${linked}, m.${quote(column)})`;
          if (column === 'content_hash' && hash !== null) return hash;
          if (!ownColumns) return `m.${quote(column)}`;
          return decided.has(column) ? this.#then(kind, column) : `x.${quote(column)}`;
        })
        .join(', ');
    const write = (here: boolean): number => {
      const from = `FROM map_${kind} p JOIN model.${table} m ON m.id = p.model
        ${here ? `JOIN local.${table} x ON x.id = p.row` : ''} ${sessionOf} WHERE p.here = ${here ? 1 : 0}`;
      const into = `INTO main.${table} (${list(columns)})`;
      const settled = this.#insert(
        `INSERT OR IGNORE ${into} SELECT ${pick(null, here)} ${from} ORDER BY p.row`,
      );
      // Hashes are unique within a session and random on old rows, so a clashing one is replaced.
      const rest = `${from} AND p.row NOT IN (SELECT id FROM main.${table})`;
      return (
        settled +
        this.#insert(`INSERT ${into} SELECT ${pick(`'membridge-' || p.row`, here)} ${rest} ORDER BY p.row`)
      );
    };
    const kept = this.#keep(kind);
    const same = write(true);
    return { same, back: write(false), kept };
  }

  #keep(kind: Kind): number {
    const { code, table } = SHAPES[kind];
    const columns = list(this.#columns(table));
    return this.#insert(`
      INSERT INTO main.${table} (${columns}) SELECT ${columns} FROM local.${table}
      WHERE id IN (SELECT row FROM needed WHERE kind = ${code}) ORDER BY id`);
  }

  #finish(progress: (text: string) => void): void {
    const db = this.#db;
    for (const { type, sql } of this.#objects) if (type === 'index') db.exec(sql);
    // Rows of other tables go with their removed session, as claude-mem's own foreign keys would do.
    const kinds = new Set<string>(KINDS.map((kind) => SHAPES[kind].table));
    const before = new Set(
      (db.pragma('local.foreign_key_check') as { table: string; rowid: number }[]).map(
        ({ table, rowid }) => `${table}/${rowid}`,
      ),
    );
    for (const { table, rowid } of db.pragma('main.foreign_key_check') as {
      table: string;
      rowid: number;
    }[]) {
      if (!kinds.has(table) && !before.has(`${table}/${rowid}`)) {
        db.prepare(`DELETE FROM main.${quote(table)} WHERE rowid = ?`).run(rowid);
      }
    }
    for (const { name, sql } of this.#objects) {
      if (!this.#fullText.has(name)) continue;
      db.exec(sql);
      if (/\bfts5\b/i.test(sql))
        db.exec(`INSERT INTO main.${quote(name)}(${quote(name)}) VALUES ('rebuild')`);
      progress(`indexed ${name}`);
    }
    for (const { type, sql } of this.#objects) if (type === 'view' || type === 'trigger') db.exec(sql);
    // AUTOINCREMENT never reuses an id, and the ledger relies on that.
    db.exec(`
      UPDATE main.sqlite_sequence SET seq = max(seq, coalesce(
        (SELECT l.seq FROM local.sqlite_sequence l WHERE l.name = main.sqlite_sequence.name), 0));
      INSERT INTO main.sqlite_sequence (name, seq) SELECT l.name, l.seq FROM local.sqlite_sequence l
        WHERE l.name NOT IN (SELECT name FROM main.sqlite_sequence);
    `);
    for (const setting of ['user_version', 'application_id']) {
      db.pragma(`main.${setting} = ${String(db.pragma(`local.${setting}`, { simple: true }))}`);
    }
  }
}

/**
 * @throws MembridgeError memory_corrupt when the file fails SQLite's checks or those of its full-text indexes
 */
function check(db: Database.Database, path: string): void {
  const tables = db
    .prepare(
      `SELECT name, sql LIKE 'CREATE VIRTUAL TABLE%fts5%' AS isFullText FROM sqlite_schema WHERE type = 'table'
       UNION ALL SELECT 'sqlite_schema', 0`,
    )
    .all() as { name: string; isFullText: number | null }[];
  const problems: string[] = [];
  // Table by table: a check of the whole file would read the full-text indexes again without comparing them
  // with the rows.
  for (const { name, isFullText } of tables) {
    if (isFullText !== 1) {
      const found = db.pragma(`main.integrity_check(${quote(name)})`, { simple: true }) as string;
      if (found !== 'ok') problems.push(found);
      continue;
    }
    try {
      db.exec(`INSERT INTO main.${quote(name)}(${quote(name)}, rank) VALUES ('integrity-check', 1)`);
    } catch (error) {
      problems.push(`${name}: ${String(error)}`);
    }
  }
  if (problems.length > 0) {
    throw new MembridgeError(
      'memory_corrupt',
      `The restored database ${path} did not pass its checks (${problems.join('; ')}) and was not used; nothing was changed.`,
    );
  }
}
