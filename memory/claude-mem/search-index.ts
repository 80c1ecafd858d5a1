import Database from 'better-sqlite3';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import { KINDS, SHAPES } from '../format/kinds.ts';

/** A full-text index, or a trigger that fills it, that makes every write to a claude-mem table fail. */
interface IndexDamage {
  /** The name of the full-text table, or of the trigger. */
  readonly name: string;
  /** The problem, for people. */
  readonly problem: string;
  /** SQL that repairs it; empty when a person must decide. */
  readonly repair: readonly string[];
}

interface Trigger {
  readonly name: string;
  readonly tbl_name: string;
  readonly sql: string;
}

/**
 * Internal tables of an FTS5 index with external content, with the statements that FTS5 creates them with.
 */
const INTERNAL_TABLES: Readonly<Record<string, (fts: string) => readonly string[]>> = {
  data: (fts) => [`CREATE TABLE "${fts}_data"(id INTEGER PRIMARY KEY, block BLOB)`],
  idx: (fts) => [`CREATE TABLE "${fts}_idx"(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID`],
  docsize: (fts) => [`CREATE TABLE "${fts}_docsize"(id INTEGER PRIMARY KEY, sz BLOB)`],
  config: (fts) => [
    `CREATE TABLE "${fts}_config"(k PRIMARY KEY, v) WITHOUT ROWID`,
    `INSERT INTO "${fts}_config" VALUES('version', 4)`,
  ],
};

/** How long the search for damage waits for the write lock, in milliseconds. */
const TRIAL_TIMEOUT_MS = 1_000;

/** A row id that no memory has: FTS5 indexes a word under it, and the transaction is rolled back. */
const TRIAL_ROW = 2 ** 52;

const rebuildOf = (fts: string): string => `INSERT INTO ${fts}(${fts}) VALUES('rebuild')`;

/**
 * Finds why writes to sound claude-mem tables fail: full-text indexes that lost records or internal tables,
 * and triggers that name a missing table. Tests each index and rolls the test back.
 * @param db a connection that may write, in no transaction; holds the write lock for a few milliseconds
 */
function findIndexDamage(db: Database.Database): IndexDamage[] {
  const found = new Map<string, IndexDamage>();
  const add = (damage: IndexDamage | null): void => {
    if (damage !== null && !found.has(damage.name)) found.set(damage.name, damage);
  };
  const triggers = triggersOf(db);
  const indexes = fullTextTables(db).filter(({ name }) => triggers.some(({ sql }) => sql.includes(name)));
  for (const index of indexes) add(findMissingParts(db, index));
  for (const trigger of triggers) add(findMissingTarget(db, trigger));
  for (const { name } of indexes) if (!found.has(name)) add(tryStoringWord(db, name));
  return [...found.values()];
}

/**
 * Builds the error for damaged indexes. It suggests a repair of the index: the memories themselves are sound.
 * @param found the damage; absent when only SQLite itself reported a damaged index
 */
export function damagedIndexError(
  path: string,
  found: readonly IndexDamage[],
  cause: unknown,
): MembridgeError {
  const named = /"(\w+)"/.exec(errorMessage(cause))?.[1];
  const all =
    found.length > 0
      ? found
      : named === undefined
        ? []
        : [{ name: named, problem: errorMessage(cause), repair: [rebuildOf(named)] }];
  const what =
    all.length === 0
      ? `A full-text index of ${path} is damaged (${errorMessage(cause)})`
      : all.map(({ name, problem }) => `${name} in ${path} is damaged: ${problem}`).join('; ');
  const statements = all.flatMap(({ repair }) => repair);
  const how =
    statements.length === 0
      ? all.length === 0
        ? `Run "membridge doctor --fix", or run the statement INSERT INTO <index>(<index>) VALUES('rebuild') for each index`
        : 'Restart claude-mem so that it makes what is missing, or drop the trigger'
      : `Run "membridge doctor --fix", or in SQLite: ${statements.join('; ')}`;
  return new MembridgeError(
    'memory_index_damaged',
    `${what}. The memories are sound, and this node sends its own; what other nodes sent is kept aside until the index is repaired. ${how}.`,
    { cause },
  );
}

/**
 * Looks for damaged indexes that explain a failed write to claude-mem's tables.
 * @param path claude-mem's database; no connection of the caller may hold a transaction on it
 * @returns memory_index_damaged, with the indexes and repair statements. Or memory_locked when another
 * program's lock prevents the test. Null when no index is damaged, or when the search fails otherwise
 */
export function explainByIndexDamage(path: string, error: unknown): MembridgeError | null {
  if (!mayBeIndexDamage(error)) return null;
  try {
    const db = new Database(path, { fileMustExist: true, timeout: TRIAL_TIMEOUT_MS });
    try {
      const found = findIndexDamage(db);
      return found.length === 0 ? null : damagedIndexError(path, found, error);
    } finally {
      db.close();
    }
  } catch (failure) {
    const isLocked = failure instanceof Database.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(failure.code);
    return isLocked
      ? new MembridgeError(
          'memory_locked',
          `${path} refused a row (${errorMessage(error)}), and another program locked it before Membridge could find out why; the sync tries again.`,
          { cause: error },
        )
      : null;
  }
}

function mayBeIndexDamage(error: unknown): boolean {
  return (
    error instanceof Database.SqliteError &&
    /^SQLITE_(CONSTRAINT|CORRUPT|ERROR|MISMATCH|INTERNAL)/.test(error.code)
  );
}

function fullTextTables(db: Database.Database): { name: string; sql: string }[] {
  return db
    .prepare(
      `SELECT name, sql FROM main.sqlite_master
       WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%USING fts5%' ORDER BY name`,
    )
    .all() as { name: string; sql: string }[];
}

function triggersOf(db: Database.Database): Trigger[] {
  const tables = KINDS.map((kind) => SHAPES[kind].table);
  return db
    .prepare(
      `SELECT name, tbl_name, sql FROM main.sqlite_master
       WHERE type = 'trigger' AND tbl_name IN (SELECT value FROM json_each(?)) ORDER BY name`,
    )
    .all(JSON.stringify(tables)) as Trigger[];
}

function hasTable(db: Database.Database, name: string): boolean {
  const sql = `SELECT 1 FROM main.sqlite_master WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE`;
  return db.prepare(sql).get(name) !== undefined;
}

function findMissingParts(
  db: Database.Database,
  { name: fts, sql }: { name: string; sql: string },
): IndexDamage | null {
  // Only an index without column sizes has no docsize table.
  const parts = Object.keys(INTERNAL_TABLES).filter(
    (part) => part !== 'docsize' || !/columnsize\s*=\s*0/i.test(sql),
  );
  const missing = parts.filter((part) => !hasTable(db, `${fts}_${part}`));
  if (missing.length === 0) return null;
  return {
    name: fts,
    problem: `its internal ${missing.map((part) => `table ${fts}_${part}`).join(' and ')} is missing`,
    repair: [...missing.flatMap((part) => INTERNAL_TABLES[part]?.(fts) ?? []), rebuildOf(fts)],
  };
}

/** Finds a trigger that writes to a missing table, which makes every write to its own table fail. */
function findMissingTarget(
  db: Database.Database,
  { name, tbl_name: table, sql }: Trigger,
): IndexDamage | null {
  const targets = Array.from(
    sql.matchAll(/\b(?:insert(?:\s+or\s+\w+)?\s+into|replace\s+into|update|delete\s+from)\s+["'`[]?(\w+)/gi),
    (match) => match[1] ?? '',
  ).filter((target) => !/^(of|on|set)$/i.test(target));
  // The head of a trigger also says AFTER UPDATE ON.
  const target = targets.find((each) => !hasTable(db, each));
  if (target === undefined) return null;
  const columns = new RegExp(`into\\s+["'\`[]?${target}["'\`\\]]?\\s*\\(\\s*rowid\\s*,([^)]*)\\)`, 'i').exec(
    sql,
  )?.[1];
  if (columns === undefined) {
    return {
      name: `trigger ${name}`,
      problem: `it writes to table ${target}, which does not exist, so every write to ${table} fails`,
      repair: [],
    };
  }
  return {
    name: target,
    problem: `the index does not exist, but trigger ${name} of ${table} fills it`,
    repair: [
      `CREATE VIRTUAL TABLE ${target} USING fts5(${columns.trim()}, content='${table}', content_rowid='id')`,
      rebuildOf(target),
    ],
  };
}

/**
 * Makes an index store a word, then rolls that back.
 * @returns what prevented it
 */
function tryStoringWord(db: Database.Database, fts: string): IndexDamage | null {
  db.exec('BEGIN IMMEDIATE');
  try {
    const [column] = db.pragma(`main.table_info("${fts}")`) as { name: string }[];
    db.prepare(`INSERT INTO "${fts}"(rowid, "${column?.name}") VALUES (?, 'membridge')`).run(TRIAL_ROW);
    db.exec(`INSERT INTO "${fts}"("${fts}") VALUES('flush')`);
  } catch (error) {
    if (!mayBeIndexDamage(error)) throw error;
    return { name: fts, problem: errorMessage(error), repair: [rebuildOf(fts)] };
  } finally {
    if (db.inTransaction) db.exec('ROLLBACK');
  }
  // A write may miss some damage; a read of the whole index finds it.
  const checked = readCheck(db, fts);
  return checked === null ? null : { name: fts, problem: checked, repair: [rebuildOf(fts)] };
}

function readCheck(db: Database.Database, fts: string): string | null {
  try {
    const said = db.pragma(`main.quick_check("${fts}")`, { simple: true });
    return said === 'ok' ? null : String(said);
  } catch (error) {
    if (!mayBeIndexDamage(error)) throw error;
    return errorMessage(error);
  }
}
