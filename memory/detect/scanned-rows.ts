import type Database from 'better-sqlite3';
import type { Kind } from '../format/kinds.ts';

/** The highest local id that is remembered. Each id up to it takes 4 bytes. */
const MAX_ID = 2 ** 22;

/**
 * What a scan found of rows, for the push that follows it: that nothing in them is a secret, and the key that each has. It holds
 * only as long as nobody commits to the database, which SQLite tells (PRAGMA data_version), so the rows are the same.
 */
export class ScannedRows {
  readonly #db: Database.Database;
  /** The first 4 bytes of keys by local id, 0 where nothing is known. */
  readonly #keys = new Map<Kind, Uint32Array>();
  #version = -1;

  /** @param db the connection that scans and collects: it sees what others commit */
  constructor(db: Database.Database) {
    this.#db = db;
  }

  /**
   * To be called in a read transaction, before its first row: forgets everything if somebody committed since the last one.
   * @returns whether what is known holds for all that the transaction reads
   */
  stand(): boolean {
    const version = this.#db.pragma('data_version', { simple: true }) as number;
    const isSame = version === this.#version;
    if (!isSame) this.clear();
    this.#version = version;
    return isSame;
  }

  /** Notes a row without secrets. @param key the memory's, with ordinal 0 */
  note(kind: Kind, id: number, key: Buffer): void {
    if (id > MAX_ID || id < 0) return;
    let keys = this.#keys.get(kind);
    if (keys === undefined || keys.length <= id) {
      const larger = new Uint32Array(Math.min(MAX_ID + 1, Math.max(1_024, 2 * id)));
      if (keys !== undefined) larger.set(keys);
      this.#keys.set(kind, larger);
      keys = larger;
    }
    keys[id] = key.readUInt32LE(0);
  }

  /** Whether a row has no secrets, and a memory that it holds is the one of its key with ordinal 0. */
  isPlain(kind: Kind, id: number, key: Buffer): boolean {
    const known = this.#keys.get(kind)?.[id] ?? 0;
    return known !== 0 && known === key.readUInt32LE(0);
  }

  clear(): void {
    this.#keys.clear();
  }
}
