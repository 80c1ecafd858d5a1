import type Database from 'better-sqlite3';
import type { Kind } from '../format/kinds.ts';

/** The highest local id that is remembered. Each id up to it takes 4 bytes. */
const MAX_ID = 2 ** 22;

/**
 * Findings of a scan for the push after it: rows without secrets, and the key of each. Valid only until the
 * next commit to the database, which SQLite reports (PRAGMA data_version).
 */
export class ScannedRows {
  readonly #db: Database.Database;
  /** The first 4 bytes of keys by local id, 0 where nothing is known. */
  readonly #keys = new Map<Kind, Uint32Array>();
  #version = -1;

  /** @param db the connection that scans and collects: it sees when others commit */
  constructor(db: Database.Database) {
    this.#db = db;
  }

  /**
   * Call at the start of a read transaction: forgets everything if another connection committed since the
   * last one.
   * @returns whether the recorded facts hold for all that the transaction reads
   */
  revalidate(): boolean {
    const version = this.#db.pragma('data_version', { simple: true }) as number;
    const isSame = version === this.#version;
    if (!isSame) this.clear();
    this.#version = version;
    return isSame;
  }

  /**
   * Records a row without secrets.
   * @param key the memory's, with ordinal 0
   */
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

  /** Returns whether a row has no secrets and the memory's key belongs to it with ordinal 0. */
  isPlain(kind: Kind, id: number, key: Buffer): boolean {
    const known = this.#keys.get(kind)?.[id] ?? 0;
    return known !== 0 && known === key.readUInt32LE(0);
  }

  clear(): void {
    this.#keys.clear();
  }
}
