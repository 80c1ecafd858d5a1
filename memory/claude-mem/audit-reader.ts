import { hash } from 'node:crypto';
import type Database from 'better-sqlite3';
import { KINDS, UNITS, type Kind } from '../kinds.ts';
import { DEFAULT_PLATFORM, keyColumns } from '../keys.ts';
import { hashLink, hashUnit, markOf, writeMark } from '../marks.ts';
import type { SqliteValue } from '../values.ts';
import type { RowReader } from './read.ts';
import type { ClaudeMemSchema } from './schema.ts';

/** A row's local id and mark, as it is now. */
export interface MarkedRow {
  readonly id: number;
  readonly mark: Buffer;
}

interface Plan {
  readonly statement: Database.Statement<[number, number], SqliteValue[]>;
  /** How many key columns follow the id, platform, session and memory id. */
  readonly keys: number;
  /** For each part, how many columns of it follow; null when this claude-mem has no column for it. */
  readonly units: readonly (number | null)[];
}

/**
 * Reads marks of rows and nothing else: what an audit compares a whole database by. The marks are those that
 * marks.ts computes of a row that was read whole.
 */
export class AuditReader {
  readonly #plans: Readonly<Record<Kind, Plan>>;
  readonly #reader: RowReader;
  readonly #schema: ClaudeMemSchema;

  constructor(db: Database.Database, schema: ClaudeMemSchema, reader: RowReader) {
    this.#reader = reader;
    this.#schema = schema;
    this.#plans = Object.fromEntries(KINDS.map((kind) => [kind, planOf(db, schema, kind)])) as Record<
      Kind,
      Plan
    >;
  }

  /** Marks of up to `limit` rows with a local id above `id`, in order. */
  after(kind: Kind, id: number, limit: number): MarkedRow[] {
    return this.#plans[kind].statement.all(id, limit).map((row) => this.#toMark(kind, row));
  }

  #toMark(kind: Kind, row: SqliteValue[]): MarkedRow {
    const { keys, units } = this.#plans[kind];
    const id = Number(row[0]);
    if (row.some(needsCare)) {
      const whole = this.#reader.byId(kind, id);
      const columns = this.#schema.columns[kind];
      if (whole !== null) return { id, mark: markOf(whole, (column) => columns.has(column)) };
    }
    const platform = typeof row[1] === 'string' ? row[1] : DEFAULT_PLATFORM;
    const session = typeof row[2] === 'string' ? row[2] : null;
    const named: SqliteValue[] = row.slice(4, 4 + keys);
    if (kind === 'session' || kind === 'prompt') named.unshift(kind, platform, session);
    else named.unshift(kind);
    let at = 4 + keys;
    const marks = units.map((count, index) => {
      if (UNITS[kind][index]?.merge === 'link') {
        return hashLink(session === null ? { memory: String(row[3] ?? '') } : { platform, session });
      }
      if (count === null) return null;
      at += count;
      return hashUnit(row.slice(at - count, at) as (string | number | null)[]);
    });
    // Hexadecimal: the binding takes twice as long to make a buffer.
    return { id, mark: writeMark(hash('sha256', JSON.stringify(named), 'hex'), marks) };
  }
}

/** Whether a value may be undecodable bytes, a blob or a big integer: rare, and the careful reader's work. */
function needsCare(value: SqliteValue): boolean {
  if (typeof value === 'string') return value.includes('\uFFFD');
  return typeof value === 'bigint' || (typeof value === 'object' && value !== null);
}

function planOf(db: Database.Database, schema: ClaudeMemSchema, kind: Kind): Plan {
  const columns = schema.columns[kind];
  const pick = (column: string): string => (columns.has(column) ? `t."${column}"` : 'NULL');
  const keys = keyColumns(kind);
  const units = UNITS[kind].map((unit) =>
    unit.columns.every((column) => columns.has(column)) ? unit.columns.length : null,
  );
  const parts = UNITS[kind].flatMap((unit) =>
    unit.columns.every((column) => columns.has(column)) ? unit.columns.map(pick) : [],
  );
  const list = (platformOf: string, session: string, memory: string): string =>
    ['t.id', platformOf, session, memory, ...keys.map(pick), ...parts].join(', ');
  const { sources } = schema;
  const source = sources[kind];
  const page = 'WHERE t.id > +? ORDER BY t.id LIMIT ?';
  const sql = (): string => {
    switch (kind) {
      case 'session':
        return `SELECT ${list('t.platform_source', 't.content_session_id', 't.memory_session_id')}
          FROM ${source} t ${page}`;
      case 'prompt': {
        const byName = `(SELECT id FROM ${sources.session} n WHERE n.content_session_id = t.content_session_id LIMIT 1)`;
        const link = columns.has('session_db_id') ? `coalesce(t.session_db_id, ${byName})` : byName;
        const session = 'coalesce(s.content_session_id, t.content_session_id)';
        return `SELECT ${list('s.platform_source', session, 's.memory_session_id')}
          FROM ${source} t LEFT JOIN ${sources.session} s ON s.id = ${link} ${page}`;
      }
      case 'summary':
      case 'observation':
        return `SELECT ${list('s.platform_source', 's.content_session_id', 't.memory_session_id')}
          FROM ${source} t LEFT JOIN ${sources.session} s ON s.memory_session_id = t.memory_session_id ${page}`;
    }
  };
  const statement = db.prepare(sql()).raw() as Database.Statement<[number, number], SqliteValue[]>;
  return { statement, keys: keys.length, units };
}
