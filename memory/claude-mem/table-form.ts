import type Database from 'better-sqlite3';
import { DEFAULT_PLATFORM } from '../format/keys.ts';
import { KINDS, SHAPES, type Kind } from '../format/kinds.ts';
import { CARRIED_CONCEPTS, CARRIED_TYPE } from './carried-type.ts';

/**
 * How a database's tables differ from claude-mem's newest ones. All other code uses the newest column names.
 */
export interface TableForm {
  /** The columns in the file, in file order, by kind; empty for a missing table. */
  readonly physical: Readonly<Record<Kind, readonly string[]>>;
  /** Whether sdk_sessions has platform_source (claude-mem 12.0.0). */
  readonly hasPlatform: boolean;
  /** The values that observations.type is limited to (claude-mem before 9.1), or null. */
  readonly types: readonly string[] | null;
}

/** Columns that claude-mem 8.2.6 renamed, by their old name. */
const RENAMED_COLUMNS: Readonly<Record<string, string>> = {
  claude_session_id: 'content_session_id',
  sdk_session_id: 'memory_session_id',
};
const OLD_NAMES = new Map(Object.entries(RENAMED_COLUMNS).map(([old, now]) => [now, old]));

/** Cached result per connection, with the schema version that it is valid for. */
const inspectedForms = new WeakMap<Database.Database, { version: number; form: TableForm }>();

/**
 * Inspects the tables in the file itself, ignoring our temporary views. Runs once per connection and schema
 * version.
 */
export function inspectForm(db: Database.Database): TableForm {
  const version = db.pragma('main.schema_version', { simple: true }) as number;
  const known = inspectedForms.get(db);
  if (known?.version === version) return known.form;
  const form = readForm(db);
  inspectedForms.set(db, { version, form });
  return form;
}

function readForm(db: Database.Database): TableForm {
  const columns = (kind: Kind): string[] =>
    (db.pragma(`main.table_info(${SHAPES[kind].table})`) as { name: string }[]).map(({ name }) => name);
  const physical = Object.fromEntries(KINDS.map((kind) => [kind, columns(kind)])) as Record<Kind, string[]>;
  const definition = db
    .prepare(`SELECT sql FROM main.sqlite_master WHERE type = 'table' AND name = ?`)
    .pluck()
    .get(SHAPES.observation.table) as string | undefined;
  return {
    physical,
    hasPlatform: physical.session.includes('platform_source'),
    types: allowedTypes(definition ?? ''),
  };
}

/** Returns the newest name of a column in the file. */
export function newestName(physical: string): string {
  return RENAMED_COLUMNS[physical] ?? physical;
}

/** Returns a column's name in the file, given its newest name. */
export function physicalName(form: TableForm, kind: Kind, column: string): string {
  const old = OLD_NAMES.get(column);
  return old !== undefined && form.physical[kind].includes(old) ? old : column;
}

/**
 * Returns the SQL after FROM that reads a kind's rows with the newest column names and true values, in any
 * release. SQLite flattens it into the surrounding query, so that indexes are used.
 */
export function sourceSql(form: TableForm, kind: Kind): string {
  const columns = form.physical[kind].map((column) => {
    const name = newestName(column);
    return `${columnSql(form, kind, column)} AS ${quote(name)}`;
  });
  if (kind === 'session' && !form.hasPlatform) columns.push(`${platformSql(form)} AS platform_source`);
  return `(SELECT ${columns.join(', ')} FROM main.${SHAPES[kind].table})`;
}

/**
 * Creates temporary views that show older tables under their newest column names. The file is unchanged, and
 * no other connection sees the views. Does nothing for newer tables.
 */
export function shadowOldTables(db: Database.Database): void {
  const form = inspectForm(db);
  for (const kind of KINDS) {
    if (form.physical[kind].length === 0 || !isOld(form, kind)) continue;
    db.exec(`CREATE TEMP VIEW ${SHAPES[kind].table} AS SELECT * FROM ${sourceSql(form, kind)}`);
  }
}

function isOld(form: TableForm, kind: Kind): boolean {
  if (form.physical[kind].some((column) => column in RENAMED_COLUMNS)) return true;
  if (kind === 'session') return !form.hasPlatform;
  return kind === 'observation' && form.types !== null;
}

function columnSql(form: TableForm, kind: Kind, column: string): string {
  if (kind === 'observation' && column === 'type') return CARRIED_TYPE;
  if (kind === 'observation' && column === 'concepts') return CARRIED_CONCEPTS;
  if (kind === 'session' && column === 'platform_source') return platformSql(form);
  if (kind === 'session' && column === 'worker_port') {
    return `CASE typeof(worker_port) WHEN 'text' THEN NULL ELSE worker_port END`;
  }
  return quote(column);
}

/**
 * Returns SQL for a session's platform. Before 12.0.0 claude-mem had only one. Another platform of a peer's
 * session is stored as text in worker_port, which otherwise is a number used only by the running machine. It
 * stays there when claude-mem upgrades the table.
 */
function platformSql(form: TableForm): string {
  const stated = form.hasPlatform ? 'platform_source' : `'${DEFAULT_PLATFORM}'`;
  if (!form.physical.session.includes('worker_port')) return stated;
  return `CASE typeof(worker_port) WHEN 'text' THEN worker_port ELSE ${stated} END`;
}

function allowedTypes(definition: string): string[] | null {
  const list = /check\s*\(\s*"?type"?\s+in\s*\(([^)]*)\)/i.exec(definition)?.[1];
  return list === undefined ? null : Array.from(list.matchAll(/'([^']*)'/g), (match) => match[1] ?? '');
}

const quote = (column: string): string => `"${column.replaceAll('"', '""')}"`;
