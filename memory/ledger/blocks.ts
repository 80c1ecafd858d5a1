import type Database from 'better-sqlite3';
import { SHAPES, type Kind } from '../format/kinds.ts';

/** Rows per block, by local id: few enough that comparing a changed block row by row takes about 3 ms. */
export const BLOCK_ROWS = 256;

/** Returns the block of a row. */
export const blockOf = (row: number): number => Math.floor(row / BLOCK_ROWS);

/**
 * The ledger's table of digests: what each block's rows looked like when all of them matched their marks.
 * While the digest is unchanged, none of them need comparing. Callers hold the transaction.
 */
export class Blocks {
  readonly #get: Database.Statement<[number, number], Buffer>;
  readonly #set: Database.Statement<[number, number, Buffer]>;
  readonly #forget: Database.Statement<[number, number]>;
  /** Blocks that may have a digest, by kind; saves a statement per written mark. */
  readonly #maybe = new Map<number, Set<number>>();

  constructor(db: Database.Database) {
    this.#get = db
      .prepare<[number, number], Buffer>('SELECT digest FROM block WHERE kind = ? AND block = ?')
      .pluck();
    this.#set = db.prepare('INSERT OR REPLACE INTO block (kind, block, digest) VALUES (?, ?, ?)');
    this.#forget = db.prepare('DELETE FROM block WHERE kind = ? AND block = ?');
    const all = db.prepare('SELECT kind, block FROM block').all() as { kind: number; block: number }[];
    for (const { kind, block } of all) this.#blocksOf(kind).add(block);
  }

  get(kind: Kind, block: number): Buffer | null {
    return this.#get.get(SHAPES[kind].code, block) ?? null;
  }

  set(kind: Kind, block: number, digest: Buffer): void {
    this.#blocksOf(SHAPES[kind].code).add(block);
    this.#set.run(SHAPES[kind].code, block, digest);
  }

  /** Deletes the digest of a row's block, because the row's mark changed. */
  forget(kind: Kind, row: number): void {
    const { code } = SHAPES[kind];
    const block = blockOf(row);
    if (this.#maybe.get(code)?.has(block) === true) this.#forget.run(code, block);
  }

  #blocksOf(code: number): Set<number> {
    const known = this.#maybe.get(code);
    if (known !== undefined) return known;
    const blocks = new Set<number>();
    this.#maybe.set(code, blocks);
    return blocks;
  }
}
