import type Database from 'better-sqlite3';
import { SHAPES, type Kind } from '../format/kinds.ts';
import { DEFAULT_PLATFORM, type SessionName } from '../format/keys.ts';
import type { SessionRef } from '../format/operation.ts';
import { textOf, toValue, type Row, type SqliteValue, type Value } from '../format/values.ts';
import type { ClaudeMemSchema } from './schema.ts';

/** A claude-mem row in the form in which it is sent. */
export interface MemoryRow {
  readonly kind: Kind;
  /** The local id: valid for this database only. */
  readonly id: number;
  /** Columns that are synced. */
  readonly set: Row;
  /** Columns this version does not know, where not NULL. */
  readonly extra: Row | null;
  /** The row's session (its own name for a session), or the id of a missing session. */
  readonly of: SessionRef;
  /** The local id of that session, null when it is missing. */
  readonly sessionId: number | null;
  /** The memory_session_id in the row. */
  readonly mem: string | null;
  /** The claude-mem project that decides which spaces the row belongs to. */
  readonly project: string | null;
  /** The project that the row was merged into, which also decides. */
  readonly merged: string | null;
  /** Whether another sync wrote the row: claude-mem's own cloud sync, or a hub that uses its protocol. */
  readonly isReplica: boolean;
}

/** Prefix of origin_device_id in rows that Membridge wrote. */
export const OWN_ORIGIN = 'membridge:';

type RawRow = Record<string, SqliteValue>;
type PageStatement = Database.Statement<[number, number], RawRow>;
type RowStatement = Database.Statement<[number], RawRow>;

/** Reads rows of one claude-mem database by local id. */
export class RowReader {
  readonly #db: Database.Database;
  readonly #schema: ClaudeMemSchema;
  /** Prepared on first use. */
  readonly #after = new Map<Kind, PageStatement>();
  readonly #one = new Map<Kind, RowStatement>();
  readonly #highest = new Map<Kind, Database.Statement<[], number | null>>();

  constructor(db: Database.Database, schema: ClaudeMemSchema) {
    this.#db = db;
    this.#schema = schema;
  }

  /** Returns up to `limit` rows with a local id above `id`, in order of id. */
  readAfter(kind: Kind, id: number, limit: number): MemoryRow[] {
    let statement = this.#after.get(kind);
    if (statement === undefined) {
      statement = this.#db.prepare(`${selectRows(kind, this.#schema)} WHERE t.id > +? ORDER BY t.id LIMIT ?`);
      this.#after.set(kind, statement);
    }
    return statement.all(id, limit).map((raw) => this.#toRow(kind, raw));
  }

  /** Returns the rows with these local ids, which must be sorted; leaves out missing rows. */
  byIds(kind: Kind, ids: readonly number[]): MemoryRow[] {
    const [first, last] = [ids[0], ids.at(-1)];
    if (first === undefined || last === undefined) return [];
    // Reading a range is several times faster than single rows, if most of it is wanted.
    if (last - first < 2 * ids.length) {
      const wanted = new Set(ids);
      return this.readAfter(kind, first - 1, last - first + 1).filter(({ id }) => wanted.has(id));
    }
    return ids.map((id) => this.byId(kind, id)).filter((row) => row !== null);
  }

  /** Returns the row with a local id, or null when it is gone. */
  byId(kind: Kind, id: number): MemoryRow | null {
    let statement = this.#one.get(kind);
    if (statement === undefined) {
      statement = this.#db.prepare(`${selectRows(kind, this.#schema)} WHERE t.id = +?`);
      this.#one.set(kind, statement);
    }
    const raw = statement.get(id);
    return raw === undefined ? null : this.#toRow(kind, raw);
  }

  /** Returns the local ids of a session's prompts. */
  promptsOf(sessionId: number): number[] {
    const link = this.#schema.columns.prompt.has('session_db_id')
      ? 't.session_db_id = ?'
      : `t.content_session_id = (SELECT content_session_id FROM ${this.#schema.sources.session} WHERE id = ?)`;
    return this.#db
      .prepare(`SELECT t.id FROM ${this.#schema.sources.prompt} t WHERE ${link}`)
      .pluck()
      .all(sessionId) as number[];
  }

  /** Returns the projects that a session's rows were merged into. */
  projectsMergedInto(sessionId: number): string[] {
    const parts = (['summary', 'observation'] as const)
      .filter((kind) => this.#schema.columns[kind].has('merged_into_project'))
      .map(
        (kind) => `SELECT t.merged_into_project FROM main.${SHAPES[kind].table} t
          WHERE t.memory_session_id = @memory AND t.merged_into_project IS NOT NULL`,
      );
    const memory = this.#db
      .prepare(`SELECT memory_session_id FROM ${this.#schema.sources.session} WHERE id = ?`)
      .pluck()
      .get(sessionId);
    if (parts.length === 0 || typeof memory !== 'string') return [];
    return this.#db.prepare(parts.join(' UNION ')).pluck().all({ memory }) as string[];
  }

  /** Returns whether any row belongs to a session. */
  hasChildren(sessionId: number): boolean {
    if (this.promptsOf(sessionId).length > 0) return true;
    const { sources } = this.#schema;
    return ['summary' as const, 'observation' as const].some(
      (kind) =>
        this.#db
          .prepare(
            `SELECT 1 FROM ${sources[kind]} t WHERE t.memory_session_id =
             (SELECT memory_session_id FROM ${sources.session} WHERE id = ?) LIMIT 1`,
          )
          .get(sessionId) !== undefined,
    );
  }

  /** Returns whether another sync wrote any row of a kind. */
  hasReplicas(kind: Kind): boolean {
    if (!this.#schema.columns[kind].has('origin_device_id')) return false;
    // Uses the index on origins: looks before and after Membridge's own prefix.
    const found = this.#db.prepare(
      `SELECT 1 FROM main.${SHAPES[kind].table} WHERE origin_device_id IS NOT NULL AND origin_device_id < ?
       UNION ALL SELECT 1 FROM main.${SHAPES[kind].table} WHERE origin_device_id IS NOT NULL AND origin_device_id >= ? LIMIT 1`,
    );
    return found.get(OWN_ORIGIN, OWN_ORIGIN.replace(/:$/, ';')) !== undefined;
  }

  /** Returns the local ids of prompts with the same time and text, in any session. */
  idsOfSamePrompt({ set }: Pick<MemoryRow, 'set'>): number[] {
    const { prompt_text: said, created_at_epoch: at } = set;
    if (typeof said !== 'string' || typeof at !== 'number') return [];
    return this.#db
      .prepare('SELECT id FROM main.user_prompts WHERE created_at_epoch = ? AND prompt_text = ?')
      .pluck()
      .all(at, said) as number[];
  }

  /** Returns the local ids of a kind's rows written at a time. */
  idsWrittenAt(kind: Kind, at: number): number[] {
    return this.#db
      .prepare(`SELECT id FROM main.${SHAPES[kind].table} WHERE created_at_epoch = ? ORDER BY id`)
      .pluck()
      .all(at) as number[];
  }

  /** Returns the largest local id of a kind, 0 when the table is empty. */
  maxId(kind: Kind): number {
    let statement = this.#highest.get(kind);
    if (statement === undefined) {
      statement = this.#db
        .prepare<[], number | null>(`SELECT max(id) FROM main.${SHAPES[kind].table}`)
        .pluck();
      this.#highest.set(kind, statement);
    }
    return statement.get() ?? 0;
  }

  /** Returns the largest local id of a kind up to `limit`, 0 when there is none. */
  maxIdUpTo(kind: Kind, limit: number): number {
    const statement = this.#db
      .prepare(`SELECT max(id) FROM main.${SHAPES[kind].table} WHERE id <= ?`)
      .pluck();
    return (statement.get(limit) as number | null) ?? 0;
  }

  #toRow(kind: Kind, raw: RawRow): MemoryRow {
    const id = Number(raw['#id']);
    const pick = (columns: readonly string[]): Record<string, Value> => {
      const set: Record<string, Value> = {};
      for (const column of columns) {
        set[column] = toValue(raw[column] ?? null, {
          rawText: () => this.#bytes(kind, column, id),
          exact: () => this.#number(kind, column, id),
        });
      }
      return set;
    };
    const set = pick(this.#schema.synced[kind]);
    const extra = Object.fromEntries(
      Object.entries(pick(this.#schema.unknown[kind])).filter(([, value]) => value !== null),
    );
    const of = sessionRef(raw);
    if (kind === 'session' && 'session' in of) set['platform_source'] = of.platform;
    const { '#project': project, '#origin': origin } = raw;
    return {
      kind,
      id,
      set,
      extra: Object.keys(extra).length > 0 ? extra : null,
      of,
      sessionId: typeof raw['#session_id'] === 'number' ? raw['#session_id'] : null,
      mem: text(raw['#mem']),
      project: typeof project === 'string' ? project : null,
      merged: textOf(set['merged_into_project']),
      isReplica: typeof origin === 'string' && !origin.startsWith(OWN_ORIGIN),
    };
  }

  #number(kind: Kind, column: string, id: number): number | bigint {
    return this.#db
      .prepare(`SELECT "${column}" FROM ${this.#schema.sources[kind]} WHERE id = ?`)
      .pluck()
      .safeIntegers()
      .get(id) as number | bigint;
  }

  #bytes(kind: Kind, column: string, id: number): Buffer {
    const row = this.#db
      .prepare(`SELECT CAST("${column}" AS BLOB) AS bytes FROM ${this.#schema.sources[kind]} WHERE id = ?`)
      .get(id) as { bytes: Buffer };
    return row.bytes;
  }
}

const text = (value: SqliteValue | undefined): string | null => (typeof value === 'string' ? value : null);

function sessionRef(raw: RawRow): SessionRef {
  const platform = text(raw['#platform']) ?? DEFAULT_PLATFORM;
  const session = text(raw['#session']);
  return session === null ? { memory: text(raw['#mem']) ?? '' } : { platform, session };
}

/**
 * Returns whether another sync put a prompt into a session that it made up. Such a session has a memory id as
 * its name; the prompt was written in another session.
 */
export function isInMadeUpSession({ kind, isReplica, of, mem }: MemoryRow): boolean {
  return kind === 'prompt' && isReplica && 'session' in of && of.session === mem;
}

/** Returns the name of a session when the reference is a name, else null. */
export function namedSession(ref: SessionRef): SessionName | null {
  return 'session' in ref ? ref : null;
}

function selectRows(kind: Kind, schema: ClaudeMemSchema): string {
  const columns = [...schema.synced[kind], ...schema.unknown[kind]].map((column) => `t."${column}"`);
  if (schema.columns[kind].has('origin_device_id')) columns.push('t.origin_device_id AS "#origin"');
  const { sources } = schema;
  const source = sources[kind];
  switch (kind) {
    case 'session':
      return `SELECT t.id AS "#id", t.id AS "#session_id", ${columns.join(', ')}, t.memory_session_id AS "#mem",
        t.platform_source AS "#platform", t.content_session_id AS "#session", t.project AS "#project"
        FROM ${source} t`;
    case 'prompt': {
      const byName = `(SELECT id FROM ${sources.session} n WHERE n.content_session_id = t.content_session_id LIMIT 1)`;
      const link = schema.columns.prompt.has('session_db_id')
        ? `coalesce(t.session_db_id, ${byName})`
        : byName;
      return `SELECT t.id AS "#id", s.id AS "#session_id", ${columns.join(', ')}, s.memory_session_id AS "#mem",
        s.platform_source AS "#platform", coalesce(s.content_session_id, t.content_session_id) AS "#session",
        s.project AS "#project"
        FROM ${source} t LEFT JOIN ${sources.session} s ON s.id = ${link}`;
    }
    case 'summary':
    case 'observation':
      return `SELECT t.id AS "#id", s.id AS "#session_id", ${columns.join(', ')}, t.memory_session_id AS "#mem",
        s.platform_source AS "#platform", s.content_session_id AS "#session", t.project AS "#project"
        FROM ${source} t LEFT JOIN ${sources.session} s ON s.memory_session_id = t.memory_session_id`;
  }
}
