import type Database from 'better-sqlite3';
import { DEFAULT_PLATFORM } from '../format/keys.ts';
import { KINDS, SHAPES, type Kind } from '../format/kinds.ts';
import { CARRIED_CONCEPTS, CARRIED_TYPE } from './carried-type.ts';

/**
 * How a database's tables are made, where that differs from claude-mem's newest ones. Everything else in Membridge
 * speaks of tables by their newest column names.
 */
export interface TableForm {
  /** The columns in the file, in its order, by kind; empty where there is no such table. */
  readonly physical: Readonly<Record<Kind, readonly string[]>>;
  /** Whether sdk_sessions has platform_source (claude-mem 12.0.0). */
  readonly hasPlatform: boolean;
  /** The values that observations.type is limited to (claude-mem before 9.1), or null. */
  readonly types: readonly string[] | null;
}

/** Columns that claude-mem 8.2.6 renamed, by their old name. */
const RENAMED: Readonly<Record<string, string>> = {
  claude_session_id: 'content_session_id',
  sdk_session_id: 'memory_session_id',
};
const OLD_NAMES = new Map(Object.entries(RENAMED).map(([old, now]) => [now, old]));

/** What a connection found, and the state of the tables that it found it in. */
const INSPECTED = new WeakMap<Database.Database, { version: number; form: TableForm }>();

/** Looks at the tables in the file itself, past any view of ours: once per connection and state of the tables. */
export function inspectForm(db: Database.Database): TableForm {
  const version = db.pragma('main.schema_version', { simple: true }) as number;
  const known = INSPECTED.get(db);
  if (known?.version === version) return known.form;
  const form = readForm(db);
  INSPECTED.set(db, { version, form });
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

/** The newest name of a column in the file. */
export function newestName(physical: string): string {
  return RENAMED[physical] ?? physical;
}

/** The name in the file of a column under its newest name. */
export function physicalName(form: TableForm, kind: Kind, column: string): string {
  const old = OLD_NAMES.get(column);
  return old !== undefined && form.physical[kind].includes(old) ? old : column;
}

/**
 * What to read a kind's rows from: SQL for after FROM that has the columns under their newest names and gives each its
 * true value, whatever this database has room for. SQLite folds it into the query around it, so that indexes serve.
 */
export function sourceOf(form: TableForm, kind: Kind): string {
  const columns = form.physical[kind].map((column) => {
    const name = newestName(column);
    return `${valueOf(form, kind, column)} AS ${quote(name)}`;
  });
  if (kind === 'session' && !form.hasPlatform) columns.push(`${platformOf(form)} AS platform_source`);
  return `(SELECT ${columns.join(', ')} FROM main.${SHAPES[kind].table})`;
}

/**
 * Lets a connection see tables of older claude-mem releases under their newest column names, by temporary views of its
 * own: nothing of it is in the file, and no other connection sees them. Does nothing for newer tables.
 */
export function shadowOldTables(db: Database.Database): void {
  const form = inspectForm(db);
  for (const kind of KINDS) {
    if (form.physical[kind].length === 0 || !isOld(form, kind)) continue;
    db.exec(`CREATE TEMP VIEW ${SHAPES[kind].table} AS SELECT * FROM ${sourceOf(form, kind)}`);
  }
}

function isOld(form: TableForm, kind: Kind): boolean {
  if (form.physical[kind].some((column) => column in RENAMED)) return true;
  if (kind === 'session') return !form.hasPlatform;
  return kind === 'observation' && form.types !== null;
}

function valueOf(form: TableForm, kind: Kind, column: string): string {
  if (kind === 'observation' && column === 'type') return CARRIED_TYPE;
  if (kind === 'observation' && column === 'concepts') return CARRIED_CONCEPTS;
  if (kind === 'session' && column === 'platform_source') return platformOf(form);
  if (kind === 'session' && column === 'worker_port') {
    return `CASE typeof(worker_port) WHEN 'text' THEN NULL ELSE worker_port END`;
  }
  return quote(column);
}

/**
 * A session's platform. Before 12.0.0 claude-mem knew one; a peer's session of another keeps its platform as text in
 * worker_port, a number that is meaningful on the machine that runs the session only. It stays there when claude-mem
 * upgrades the table.
 */
function platformOf(form: TableForm): string {
  const stated = form.hasPlatform ? 'platform_source' : `'${DEFAULT_PLATFORM}'`;
  if (!form.physical.session.includes('worker_port')) return stated;
  return `CASE typeof(worker_port) WHEN 'text' THEN worker_port ELSE ${stated} END`;
}

function allowedTypes(definition: string): string[] | null {
  const list = /check\s*\(\s*"?type"?\s+in\s*\(([^)]*)\)/i.exec(definition)?.[1];
  return list === undefined ? null : Array.from(list.matchAll(/'([^']*)'/g), (match) => match[1] ?? '');
}

const quote = (column: string): string => `"${column.replaceAll('"', '""')}"`;
