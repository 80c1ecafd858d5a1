import type Database from 'better-sqlite3';

/** Parts of a memory that a space still lacks: bit n for part n of its kind (kinds.ts), or one of these. */
export const DELETION_PART = 2 ** 29;
export const WHOLE_PART = 2 ** 30;

export interface DirtyMemory {
  readonly key: Buffer;
  readonly parts: number;
}

/** The ledger's queue of memories to send (again). Callers hold the transaction. */
export class Dirty {
  readonly #mark: Database.Statement<[number, Buffer, number]>;
  readonly #clear: Database.Statement<[number, Buffer]>;
  readonly #list: Database.Statement<[number, number], DirtyMemory>;
  readonly #any: Database.Statement<[number]>;
  readonly #pending: Database.Statement<[number, Buffer, number, Buffer], number>;
  readonly #withhold: Database.Statement<[number, Buffer, number]>;
  readonly #release: Database.Statement<[number, Buffer]>;

  constructor(db: Database.Database) {
    this.#mark = db.prepare(
      'INSERT INTO dirty (space, key, parts) VALUES (?, ?, ?) ON CONFLICT (space, key) DO UPDATE SET parts = dirty.parts | excluded.parts',
    );
    this.#clear = db.prepare('DELETE FROM dirty WHERE space = ? AND key = ?');
    this.#list = db.prepare('SELECT key, parts FROM dirty WHERE space = ? LIMIT ?');
    this.#any = db.prepare('SELECT 1 FROM dirty WHERE space = ? LIMIT 1').pluck();
    this.#pending = db
      .prepare<[number, Buffer, number, Buffer], number>(
        `SELECT parts FROM dirty WHERE space = ? AND key = ?
         UNION ALL SELECT parts FROM withheld WHERE space = ? AND key = ?`,
      )
      .pluck();
    this.#withhold = db.prepare('INSERT OR REPLACE INTO withheld (space, key, parts) VALUES (?, ?, ?)');
    this.#release = db.prepare('DELETE FROM withheld WHERE space = ? AND key = ?');
  }

  /** Queues parts of a memory for a space. */
  mark(space: number, key: Buffer, parts: number): void {
    this.#mark.run(space, key, parts);
  }

  clear(space: number, key: Buffer): void {
    this.#clear.run(space, key);
  }

  list(space: number, limit: number): DirtyMemory[] {
    return this.#list.all(space, limit);
  }

  /** Returns the parts of a memory that a space has not received yet, including withheld ones. */
  pendingParts(space: number, key: Buffer): number {
    return this.#pending.all(space, key, space, key).reduce((all, each) => all | each, 0);
  }

  /** Withholds parts of a memory, in place of those withheld before; 0 withholds none. */
  withhold(space: number, key: Buffer, parts: number): void {
    if (parts === 0) this.#release.run(space, key);
    else this.#withhold.run(space, key, parts);
  }

  hasAny(space: number): boolean {
    return this.#any.get(space) !== undefined;
  }
}
