import { createHash, hash } from 'node:crypto';
import type Database from 'better-sqlite3';
import { freeBytes } from '../format/free-bytes.ts';
import { KINDS, SHAPES, UNITS, type Kind } from '../format/kinds.ts';
import { DEFAULT_PLATFORM, keyColumns } from '../format/keys.ts';
import { hashDetails, hashLink, hashUnit, likenessFrom, markOf, writeMark } from '../detect/marks.ts';
import type { FullOperation } from '../format/operation.ts';
import { isExact, type SqliteValue } from '../format/values.ts';
import type { RowReader } from './read.ts';
import type { ClaudeMemSchema } from './schema.ts';

/** A row's local id and current mark. */
export interface MarkedRow {
  readonly id: number;
  readonly mark: Buffer;
}

/** Length of a truncated SHA-256: long enough that two states never match by chance. */
const DIGEST_BYTES = 16;

interface Plan {
  readonly statement: Database.Statement<[number, number], SqliteValue[]>;
  /** Number of key columns after id, platform, session and memory id. */
  readonly keys: number;
  /** Per part with its own slot, its number of columns; null when this claude-mem has no column for it. */
  readonly units: readonly (number | null)[];
  /** Position of each detail in the row; details come last. */
  readonly details: ReadonlyMap<string, number>;
  /** Position of each key column in the row. */
  readonly keyed: ReadonlyMap<string, number>;
  /** Returns how many bytes the long columns of the rows hold. */
  readonly bytes: Database.Statement<[number, number], number>;
  /** Returns the number of rows, and everything that marks are made of, concatenated. */
  readonly content: Database.Statement<[number, number], [number, Buffer | null]>;
}

/** Rows that hold more than this are not concatenated in memory. */
const MAX_CONTENT_BYTES = 8 * 1024 * 1024;

/** Rows summarized by count and digest. */
export interface RowsDigest {
  readonly rows: number;
  /** Null when there is too much data to digest. */
  readonly digest: Buffer | null;
}

/**
 * Reads the marks of rows and nothing else, for an audit of a whole database. They equal the marks that
 * marks.ts computes for a row that was read whole.
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

  /**
   * Returns marks of up to `limit` rows with a local id above `id`, in order.
   * @param madeOf the memories that rows were just written from, by local id: rows that still match need no
   * new hash
   */
  readAfter(kind: Kind, id: number, limit: number, madeOf?: ReadonlyMap<number, FullOperation>): MarkedRow[] {
    return this.#plans[kind].statement
      .all(id, limit)
      .map((row) => this.#toMark(kind, row, madeOf?.get(Number(row[0]))));
  }

  /**
   * Returns the marks of all rows with a local id above `after` and up to `to`, in order. Also returns the
   * digest that `digest` gives for them.
   */
  readRange(kind: Kind, after: number, to: number): { rows: MarkedRow[]; digest: Buffer | null } {
    const { statement } = this.#plans[kind];
    const rows = statement.all(after, Math.max(0, to - after)).filter((row) => Number(row[0]) <= to);
    const content = concatenateContent(rows);
    return {
      rows: rows.map((row) => this.#toMark(kind, row)),
      digest: content === null ? this.digestRange(kind, after, to).digest : digestOf(rows.length, content),
    };
  }

  /**
   * Returns a digest of everything that the marks of rows are made of. SQLite and OpenSSL compute it several
   * times as fast as the marks.
   * @param after local id before the first;
   * @param to local id of the last
   */
  digestRange(kind: Kind, after: number, to: number): RowsDigest {
    const { bytes, content } = this.#plans[kind];
    if ((bytes.get(after, to) ?? 0) > MAX_CONTENT_BYTES) return { rows: 0, digest: null };
    const [rows, text] = content.get(after, to) ?? [0, null];
    const digest = digestOf(rows, text ?? '');
    if (text !== null) freeBytes(text);
    return { rows, digest };
  }

  #toMark(kind: Kind, row: SqliteValue[], madeOf?: FullOperation): MarkedRow {
    const { keys, units, details, keyed } = this.#plans[kind];
    const id = Number(row[0]);
    if (row.some(needsSlowReader)) {
      const whole = this.#reader.byId(kind, id);
      const columns = this.#schema.columns[kind];
      if (whole !== null) return { id, mark: markOf(whole, (column) => columns.has(column)) };
    }
    const platform = typeof row[1] === 'string' ? row[1] : DEFAULT_PLATFORM;
    const session = typeof row[2] === 'string' ? row[2] : null;
    let at = 4 + keys;
    const marks = units.map((count, index) => {
      // Parts with their own slot come first.
      if (UNITS[kind][index]?.merge === 'link') {
        return hashLink(session === null ? { memory: String(row[3] ?? '') } : { platform, session });
      }
      if (count === null) return null;
      at += count;
      return hashUnit(row.slice(at - count, at) as (string | number | null)[]);
    });
    const valueAt = (at = -1): string | number | null =>
      at < 0 ? null : (row[at] as string | number | null);
    return {
      id,
      mark: writeMark(
        isMadeOf(madeOf, row, { platform, session })
          ? madeOf.key
          : rowKeyHex(kind, row.slice(4, 4 + keys), platform, session),
        marks,
        details.size === 0 ? null : hashDetails(kind, (column) => valueAt(details.get(column))),
        kind === 'session' ? null : likenessFrom(kind, (column) => valueAt(keyed.get(column))),
      ),
    };
  }
}

/** Separators between values and rows, and the stand-in for NULL, in the digested text. */
const [VALUE_END, ROW_END, NULL] = ['\u001F', '\u001E', '\u0001'];

function digestOf(rows: number, content: string | Buffer): Buffer {
  const digest = createHash('sha256').update(`${rows}\n`).update(content).digest();
  return digest.subarray(0, DIGEST_BYTES);
}

/**
 * Concatenates everything that the marks of rows are made of, exactly as SQLite does (planOf). A number
 * formatted differently here would change the digest, and the rows would be compared once more.
 * @returns null when only SQLite can format it, or when it is too long
 */
function concatenateContent(rows: readonly SqliteValue[][]): string | null {
  if (rows.some((row) => row.some(needsSlowReader))) return null;
  const content = rows.map((row) => row.map((value) => value ?? NULL).join(VALUE_END)).join(ROW_END);
  return content.length > MAX_CONTENT_BYTES ? null : content;
}

/**
 * Returns the key of a row with ordinal 0, in hexadecimal: the binding takes twice as long to make a buffer.
 */
function rowKeyHex(kind: Kind, named: SqliteValue[], platform: string, session: string | null): string {
  if (kind === 'session' || kind === 'prompt') named.unshift(kind, platform, session);
  else named.unshift(kind);
  return hash('sha256', JSON.stringify(named), 'hex');
}

/** Returns whether a row still has the key columns of a memory whose key has ordinal 0. */
function isMadeOf(
  memory: FullOperation | undefined,
  row: readonly SqliteValue[],
  { platform, session }: { platform: string; session: string | null },
): memory is FullOperation {
  if (memory === undefined || memory.ordinal > 0 || memory.kind === 'session') return false;
  const { kind, of, set } = memory;
  if (kind === 'prompt') {
    const isOfSession = of !== null && 'session' in of && of.session === session && of.platform === platform;
    if (!isOfSession) return false;
  }
  return keyColumns(kind).every((column, index) => row[4 + index] === (set[column] ?? null));
}

/**
 * Returns whether a value may be undecodable bytes, a blob, a rounded number or infinity. These are rare and
 * left to the slower reader.
 */
function needsSlowReader(value: SqliteValue): boolean {
  if (typeof value === 'string') return value.includes('\uFFFD');
  if (typeof value === 'number') return !isExact(value);
  return typeof value === 'bigint' || (typeof value === 'object' && value !== null);
}

function planOf(db: Database.Database, schema: ClaudeMemSchema, kind: Kind): Plan {
  const columns = schema.columns[kind];
  const pick = (column: string): string => (columns.has(column) ? `t."${column}"` : 'NULL');
  const keys = keyColumns(kind);
  const own = UNITS[kind].filter(({ isDetail }) => !isDetail);
  const units = own.map((unit) =>
    unit.columns.every((column) => columns.has(column)) ? unit.columns.length : null,
  );
  const parts = own.flatMap((unit) =>
    unit.columns.every((column) => columns.has(column)) ? unit.columns.map(pick) : [],
  );
  const detailed = SHAPES[kind].details.filter((column) => columns.has(column));
  const keyed = new Map(keys.map((column, index) => [column, 4 + index]));
  const firstDetail = 4 + keys.length + parts.length;
  const details = new Map(
    SHAPES[kind].details.map((column) => {
      const place = detailed.indexOf(column);
      return [column, place < 0 ? -1 : firstDetail + place];
    }),
  );
  const { sources } = schema;
  const source = sources[kind];
  /** Returns which columns to read from which tables. */
  const plan = (): { columns: string[]; from: string } => {
    const list = (platformOf: string, session: string, memory: string): string[] => [
      't.id',
      platformOf,
      session,
      memory,
      ...keys.map(pick),
      ...parts,
      ...detailed.map(pick),
    ];
    switch (kind) {
      case 'session':
        return {
          columns: list('t.platform_source', 't.content_session_id', 't.memory_session_id'),
          from: `${source} t`,
        };
      case 'prompt': {
        const byName = `(SELECT id FROM ${sources.session} n WHERE n.content_session_id = t.content_session_id LIMIT 1)`;
        const link = columns.has('session_db_id') ? `coalesce(t.session_db_id, ${byName})` : byName;
        const session = 'coalesce(s.content_session_id, t.content_session_id)';
        return {
          columns: list('s.platform_source', session, 's.memory_session_id'),
          from: `${source} t LEFT JOIN ${sources.session} s ON s.id = ${link}`,
        };
      }
      case 'summary':
      case 'observation':
        return {
          columns: list('s.platform_source', 's.content_session_id', 't.memory_session_id'),
          from: `${source} t LEFT JOIN ${sources.session} s ON s.memory_session_id = t.memory_session_id`,
        };
    }
  };
  const { columns: read, from } = plan();
  const statement = db
    .prepare(`SELECT ${read.join(', ')} FROM ${from} WHERE t.id > +? ORDER BY t.id LIMIT ?`)
    .raw() as Plan['statement'];
  const range = 't.id > +? AND t.id <= +?';
  const long = [...keys, ...SHAPES[kind].registers, ...detailed].filter((column) => columns.has(column));
  const bytes = db
    .prepare(
      `SELECT sum(${long.map((column) => `ifnull(octet_length(t."${column}"), 0)`).join(' + ')})
      FROM ${source} t WHERE ${range}`,
    )
    .pluck() as Plan['bytes'];
  const char = (text: string): string => `char(${text.charCodeAt(0)})`;
  const row = read.map((column) => `ifnull(${column}, ${char(NULL)})`).join(` || ${char(VALUE_END)} || `);
  const content = db
    .prepare(
      `SELECT count(*), CAST(group_concat(${row}, ${char(ROW_END)}) AS BLOB) FROM ${from} WHERE ${range}`,
    )
    .raw() as Plan['content'];
  return { statement, keys: keys.length, units, details, keyed, bytes, content };
}
