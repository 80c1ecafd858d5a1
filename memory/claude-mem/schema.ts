import type Database from 'better-sqlite3';
import { MembridgeError } from '../../contract/errors.ts';
import { KINDS, SHAPES, type Kind } from '../format/kinds.ts';
import { inspectForm, newestName, sourceSql } from './table-form.ts';

/**
 * The abilities of a claude-mem database, found by inspecting its tables; its version rows are not reliable.
 */
export interface ClaudeMemSchema {
  /** For people: the oldest release with such tables, such as "claude-mem 13.25". */
  readonly label: string;
  /** Columns that rows can be given, by kind, under their newest names. */
  readonly columns: Readonly<Record<Kind, ReadonlySet<string>>>;
  /** Columns that are synced and exist here. */
  readonly synced: Readonly<Record<Kind, readonly string[]>>;
  /** Columns that exist here and this version of Membridge does not know. */
  readonly unknown: Readonly<Record<Kind, readonly string[]>>;
  /** SQL after FROM to read each kind, with the newest column names. */
  readonly sources: Readonly<Record<Kind, string>>;
  /**
   * Whether a row of a kind follows when its session gets another memory_session_id. Tables created before
   * claude-mem 9.1, and some upgraded since, forbid that change while any row refers to the session.
   */
  readonly followsSession: Readonly<Record<Kind, boolean>>;
  /**
   * Whether sdk_sessions is unique by (platform_source, content_session_id) instead of content_session_id.
   */
  readonly sessionsByPlatform: boolean;
}

/** Releases by a column that they introduced, newest first (measured on each release's own tables). */
const RELEASES: readonly (readonly [label: string, kind: Kind, column: string])[] = [
  ['claude-mem 13.24 or later', 'session', 'observed_model'],
  ['claude-mem 13.12', 'observation', 'sync_rev'],
  ['claude-mem 13.11', 'observation', 'synced_at'],
  ['claude-mem 13.9', 'prompt', 'session_db_id'],
  ['claude-mem 12.4', 'observation', 'metadata'],
  ['claude-mem 12.2', 'observation', 'merged_into_project'],
  ['claude-mem 12.0', 'session', 'platform_source'],
  ['claude-mem 10.4', 'observation', 'content_hash'],
  ['claude-mem 8.2.6', 'session', 'content_session_id'],
  ['claude-mem 6.0.6', 'observation', 'discovery_tokens'],
];
const OLDEST_RELEASE = 'claude-mem 4.2.1';

/** Columns required to name or merge a row. */
const REQUIRED_COLUMNS: Readonly<Record<Kind, readonly string[]>> = {
  session: ['id', 'content_session_id', 'memory_session_id', 'project', 'started_at_epoch', 'status'],
  prompt: ['id', 'content_session_id', 'prompt_number', 'prompt_text', 'created_at_epoch'],
  summary: ['id', 'memory_session_id', 'project', 'request', 'learned', 'created_at_epoch'],
  observation: ['id', 'memory_session_id', 'project', 'type', 'title', 'narrative', 'created_at_epoch'],
};

/**
 * Inspects a database's tables.
 * @throws MembridgeError memory_schema_unknown, naming what is missing, when this version cannot sync them
 */
export function detectSchema(db: Database.Database, path: string): ClaudeMemSchema {
  const form = inspectForm(db);
  const { physical } = form;
  const columns = Object.fromEntries(
    KINDS.map((kind) => [kind, new Set(physical[kind].map(newestName))]),
  ) as Record<Kind, Set<string>>;
  // Without that column, the platform is stored in another column of the row.
  if (columns.session.size > 0) columns.session.add('platform_source');

  const missing = KINDS.flatMap((kind) =>
    REQUIRED_COLUMNS[kind]
      .filter((column) => !columns[kind].has(column))
      .map((column) => `${SHAPES[kind].table}.${column}`),
  );
  if (missing.length > 0) {
    throw new MembridgeError(
      'memory_schema_unknown',
      `${path} does not look like a claude-mem database this version knows: it has no ${missing.join(', ')}. It was left untouched.`,
    );
  }
  const demanding = KINDS.flatMap((kind) => unknownRequiredColumns(db, kind));
  if (demanding.length > 0) {
    throw new MembridgeError(
      'memory_schema_unknown',
      `${path} was made by a claude-mem that is newer than this Membridge knows: every row needs a ${demanding.join(', ')}. It was left untouched. Update Membridge.`,
    );
  }

  const known = (kind: Kind): Set<string> => new Set([...SHAPES[kind].columns, ...SHAPES[kind].local]);
  const each = <T>(pick: (kind: Kind) => T): Record<Kind, T> =>
    Object.fromEntries(KINDS.map((kind) => [kind, pick(kind)])) as Record<Kind, T>;
  return {
    label: RELEASES.find(([, kind, column]) => physical[kind].includes(column))?.[0] ?? OLDEST_RELEASE,
    columns,
    synced: each((kind) => SHAPES[kind].columns.filter((column) => columns[kind].has(column))),
    unknown: each((kind) => [...columns[kind]].filter((column) => !known(kind).has(column))),
    sources: each((kind) => sourceSql(form, kind)),
    followsSession: each((kind) => followsSession(db, kind)),
    sessionsByPlatform: hasUniqueIndex(db, 'sdk_sessions', ['platform_source', 'content_session_id']),
  };
}

function followsSession(db: Database.Database, kind: Kind): boolean {
  const keys = db.pragma(`main.foreign_key_list(${SHAPES[kind].table})`) as {
    table: string;
    on_update: string;
  }[];
  return keys.every(
    ({ table, on_update: onUpdate }) => table !== SHAPES.session.table || onUpdate === 'CASCADE',
  );
}

/** Returns columns that this version does not know and that the table requires in every row. */
function unknownRequiredColumns(db: Database.Database, kind: Kind): string[] {
  const { table, columns, local } = SHAPES[kind];
  const known = new Set([...columns, ...local]);
  const described = db.pragma(`main.table_info(${table})`) as {
    name: string;
    notnull: number;
    dflt_value: string | null;
    pk: number;
  }[];
  return described
    .filter((column) => column.notnull === 1 && column.dflt_value === null && column.pk === 0)
    .filter((column) => !known.has(newestName(column.name)))
    .map((column) => `${table}.${column.name}`);
}

function hasUniqueIndex(db: Database.Database, table: string, columns: readonly string[]): boolean {
  const indexes = db.pragma(`main.index_list(${table})`) as { name: string; unique: number }[];
  return indexes.some((index) => {
    if (index.unique !== 1) return false;
    const names = (db.pragma(`main.index_info("${index.name}")`) as { name: string }[]).map(
      (column) => column.name,
    );
    return names.length === columns.length && columns.every((column) => names.includes(column));
  });
}
