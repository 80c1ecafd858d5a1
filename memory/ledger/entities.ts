import type Database from 'better-sqlite3';
import { SHAPES, kindOfCode, type Kind } from '../kinds.ts';
import type { Version } from '../versions.ts';

/** Bits of `spaces` for a row that no space is ever to be told of (a stub session made here). */
const EVERY_SPACE = 2 ** 53 - 1;

/** What the ledger knows of one memory. */
export interface Entity {
  readonly key: Buffer;
  readonly kind: Kind;
  /** Local id in claude-mem, null while it is not there. */
  readonly row: number | null;
  readonly spaces: number;
  readonly version: Version;
  /** The segment that brought it, null for a memory first seen here. */
  readonly origin: number | null;
}

interface RawEntity {
  key: Buffer;
  kind: number;
  row: number | null;
  spaces: number;
  counter: number;
  hlc: number;
  node: string;
  origin: number | null;
}

const toEntity = (raw: RawEntity): Entity => ({
  key: raw.key,
  kind: kindOfCode(raw.kind),
  row: raw.row,
  spaces: raw.spaces,
  version: { counter: raw.counter, hlc: raw.hlc, node: raw.node },
  origin: raw.origin,
});

/** Whether a space has an operation for the memory. */
export function isKnownIn(entity: Entity, space: number): boolean {
  return Math.floor(entity.spaces / 2 ** space) % 2 === 1;
}

/** The ledger's table of memories. Every method is one statement or a few; callers bring the transaction. */
export class Entities {
  readonly #byKey: Database.Statement<[Buffer], RawEntity>;
  readonly #byRow: Database.Statement<[number, number], RawEntity>;
  readonly #seen: Database.Statement<[Buffer, number, number]>;
  readonly #apply: Database.Statement<unknown[]>;
  readonly #unsent: Database.Statement<[number, number, number, number], RawEntity>;
  readonly #hasUnsent: Database.Statement<[number, number, number]>;
  readonly #high: Database.Statement<[number], { high: number }>;
  readonly #setHigh: Database.Statement<[number, number]>;
  readonly #forget: Database.Statement<[Buffer]>;

  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#byKey = db.prepare('SELECT * FROM entity WHERE key = ?');
    this.#byRow = db.prepare('SELECT * FROM entity WHERE kind = ? AND row = ? LIMIT 1');
    this.#seen = db.prepare(
      `INSERT INTO entity (key, kind, row) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET row = excluded.row WHERE entity.row IS NULL`,
    );
    this.#apply = db.prepare(
      `INSERT INTO entity (key, kind, row, spaces, counter, hlc, node, origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET row = excluded.row, spaces = entity.spaces | excluded.spaces,
         counter = excluded.counter, hlc = excluded.hlc, node = excluded.node`,
    );
    this.#unsent = db.prepare(
      `SELECT * FROM entity WHERE kind = ? AND row > ? AND spaces & ? = 0 ORDER BY row LIMIT ?`,
    );
    this.#hasUnsent = db
      .prepare('SELECT 1 FROM entity WHERE kind = ? AND row > ? AND spaces & ? = 0 LIMIT 1')
      .pluck();
    this.#high = db.prepare('SELECT high FROM scanned WHERE kind = ?');
    this.#setHigh = db.prepare(
      'INSERT INTO scanned (kind, high) VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET high = excluded.high',
    );
    this.#forget = db.prepare('DELETE FROM entity WHERE key = ?');
  }

  byKey(key: Buffer): Entity | null {
    const raw = this.#byKey.get(key);
    return raw === undefined ? null : toEntity(raw);
  }

  byRow(kind: Kind, row: number): Entity | null {
    const raw = this.#byRow.get(SHAPES[kind].code, row);
    return raw === undefined ? null : toEntity(raw);
  }

  /** A row was found in claude-mem: it is this memory. */
  seen(key: Buffer, kind: Kind, row: number): void {
    this.#seen.run(key, SHAPES[kind].code, row);
  }

  /** An operation of a space stands for the memory in this row now, at this version. */
  record(
    key: Buffer,
    kind: Kind,
    row: number,
    space: number | 'every',
    version: Version,
    origin: number | null,
  ): void {
    const bits = space === 'every' ? EVERY_SPACE : 2 ** space;
    const { counter, hlc, node } = version;
    this.#apply.run(key, SHAPES[kind].code, row, bits, counter, hlc, node, origin);
  }

  /** Drops a key that no operation ever named (its row turned out to be another memory). */
  forget(key: Buffer): void {
    this.#forget.run(key);
  }

  /** Rows above a local id that the space has no operation for, in order of id. */
  unsent(kind: Kind, aboveRow: number, space: number, limit: number): Entity[] {
    return this.#unsent.all(SHAPES[kind].code, aboveRow, 2 ** space, limit).map(toEntity);
  }

  hasUnsent(kind: Kind, aboveRow: number, space: number): boolean {
    return this.#hasUnsent.get(SHAPES[kind].code, aboveRow, 2 ** space) !== undefined;
  }

  /** The newest and the oldest few rows of a kind, each with every key that names it. */
  sample(kind: Kind, count: number): { row: number; keys: Buffer[] }[] {
    const { code } = SHAPES[kind];
    const rows = (order: 'ASC' | 'DESC'): number[] =>
      this.#db
        .prepare(`SELECT DISTINCT row FROM entity WHERE kind = ? AND row > 0 ORDER BY row ${order} LIMIT ?`)
        .pluck()
        .all(code, count) as number[];
    const keys = this.#db.prepare('SELECT key FROM entity WHERE kind = ? AND row = ?').pluck();
    return [...new Set([...rows('DESC'), ...rows('ASC')])].map((row) => ({
      row,
      keys: keys.all(code, row) as Buffer[],
    }));
  }

  /** Forgets that a space ever had an operation for anything: all of it is to be sent again. */
  forgetSpace(space: number): void {
    this.#db.prepare('UPDATE entity SET spaces = spaces & ~? WHERE spaces <> ?').run(2 ** space, EVERY_SPACE);
  }

  /** The local id up to which rows of a kind have been looked at. */
  scannedTo(kind: Kind): number {
    return this.#high.get(SHAPES[kind].code)?.high ?? 0;
  }

  setScannedTo(kind: Kind, row: number): void {
    this.#setHigh.run(SHAPES[kind].code, row);
  }
}
