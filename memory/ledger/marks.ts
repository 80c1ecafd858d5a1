import type Database from 'better-sqlite3';
import { SHAPES, type Kind } from '../format/kinds.ts';
import type { Blocks } from './blocks.ts';

/** A row's mark from when it was last reconciled. */
export interface SeenRow {
  readonly row: number;
  readonly mark: Buffer;
}

/** The ledger's table of marks, used to notice changes and deletions. Callers hold the transaction. */
export class Marks {
  readonly #get: Database.Statement<[number, number]>;
  readonly #set: Database.Statement<[number, number, Buffer]>;
  readonly #remove: Database.Statement<[number, number]>;
  readonly #range: Database.Statement<[number, number, number], SeenRow>;
  readonly #count: Database.Statement<[number]>;
  readonly #highest: Database.Statement<[number]>;
  readonly #lowest: Database.Statement<[number]>;
  readonly #from: Database.Statement<[number, number], SeenRow>;
  readonly #blocks: Blocks;
  readonly #db: Database.Database;

  constructor(db: Database.Database, blocks: Blocks) {
    this.#blocks = blocks;
    this.#db = db;
    this.#get = db.prepare('SELECT mark FROM seen WHERE kind = ? AND row = ?').pluck();
    this.#set = db.prepare(
      'INSERT INTO seen (kind, row, mark) VALUES (?, ?, ?) ON CONFLICT (kind, row) DO UPDATE SET mark = excluded.mark',
    );
    this.#remove = db.prepare('DELETE FROM seen WHERE kind = ? AND row = ?');
    this.#range = db.prepare(
      'SELECT row, mark FROM seen WHERE kind = ? AND row > ? AND row <= ? ORDER BY row',
    );
    this.#count = db.prepare('SELECT count(*) FROM seen WHERE kind = ?').pluck();
    this.#highest = db.prepare('SELECT max(row) FROM seen WHERE kind = ?').pluck();
    this.#lowest = db.prepare('SELECT min(row) FROM seen WHERE kind = ?').pluck();
    this.#from = db.prepare('SELECT row, mark FROM seen WHERE kind = ? AND row >= ? ORDER BY row LIMIT 1');
  }

  get(kind: Kind, row: number): Buffer | null {
    return (this.#get.get(SHAPES[kind].code, row) as Buffer | undefined) ?? null;
  }

  set(kind: Kind, row: number, mark: Buffer): void {
    this.#set.run(SHAPES[kind].code, row, mark);
    this.#blocks.forget(kind, row);
  }

  remove(kind: Kind, row: number): void {
    this.#remove.run(SHAPES[kind].code, row);
    this.#blocks.forget(kind, row);
  }

  /** Returns rows with a local id above `from` and up to `to`, in order. */
  readRange(kind: Kind, from: number, to: number): SeenRow[] {
    return this.#range.all(SHAPES[kind].code, from, to);
  }

  /** Returns the largest local id that has a mark, 0 when there is none. */
  highest(kind: Kind): number {
    return (this.#highest.get(SHAPES[kind].code) as number | null) ?? 0;
  }

  count(kind: Kind): number {
    return this.#count.get(SHAPES[kind].code) as number;
  }

  /**
   * Yields rows of a kind that are like the given ones, in order.
   * @param slots offsets of the slots in a mark;
   * @param wanted the wanted values, by slot
   */
  *findAlike(
    kind: Kind,
    slots: { readonly head: number; readonly body: number; readonly link: number | null },
    wanted: Readonly<Record<'head' | 'body' | 'link', ReadonlyMap<number, unknown>>>,
  ): Generator<{ row: number; head: number; body: number; link: number }> {
    const bytes = (values: Iterable<number>): string =>
      JSON.stringify(
        Array.from(values, (value) => {
          const slot = Buffer.alloc(4);
          slot.writeUInt32LE(value);
          return slot.toString('hex').toUpperCase();
        }),
      );
    const at = (slot: number): string => `hex(substr(mark, ${slot + 1}, 4))`;
    const names = (['head', 'body', 'link'] as const).filter((name) => slots[name] !== null);
    const rows = this.#db
      .prepare<unknown[], SeenRow>(
        `SELECT row, mark FROM seen WHERE kind = ? AND (${names
          .map((name) => `${at(slots[name] ?? 0)} IN (SELECT value FROM json_each(?))`)
          .join(' OR ')}) ORDER BY row`,
      )
      .all(SHAPES[kind].code, ...names.map((name) => bytes(wanted[name].keys())));
    for (const { row, mark } of rows) {
      const slot = (place: number | null): number =>
        place === null || place + 4 > mark.length ? 0 : mark.readUInt32LE(place);
      yield { row, head: slot(slots.head), body: slot(slots.body), link: slot(slots.link) };
    }
  }

  /**
   * Returns up to `count` rows of a kind, spread evenly over all local ids, including the first and the last.
   */
  sample(kind: Kind, count: number): SeenRow[] {
    const lowest = this.#lowest.get(SHAPES[kind].code) as number | null;
    if (lowest === null) return [];
    const step = (this.highest(kind) - lowest) / Math.max(1, count - 1);
    const rows = new Map<number, SeenRow>();
    for (let index = 0; index < count; index += 1) {
      const found = this.#from.get(SHAPES[kind].code, Math.floor(lowest + index * step));
      if (found !== undefined) rows.set(found.row, found);
    }
    return [...rows.values()];
  }
}
