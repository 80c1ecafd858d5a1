import type { FullOperation } from '../format/operation.ts';
import type { Row } from '../format/values.ts';

/** A row ready to be inserted, and the operation that it was made from. */
export interface PendingRow {
  readonly operation: FullOperation;
  /** The ledger's id of the operation's segment. */
  readonly origin: number;
  readonly row: Row;
}

/** Rows that a merge will insert, so that one statement inserts many. */
export class PendingRows {
  readonly #groups = new Map<string, PendingRow[]>();
  readonly #keys = new Set<string>();
  readonly #hashes = new Set<string>();

  add(pending: PendingRow): void {
    const { operation, row } = pending;
    // Rows of one statement have the same columns.
    const group = `${operation.kind}:${Object.keys(row).join()}`;
    const rows = this.#groups.get(group);
    if (rows === undefined) this.#groups.set(group, [pending]);
    else rows.push(pending);
    this.#keys.add(operation.key.toString('hex'));
    const { memory_session_id: memory, content_hash: hash } = row;
    if (typeof memory === 'string' && typeof hash === 'string') this.#hashes.add(`${memory}\0${hash}`);
  }

  has(key: Buffer): boolean {
    return this.#keys.size > 0 && this.#keys.has(key.toString('hex'));
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Returns whether a pending row of a session has a content hash. */
  hasHash(memorySessionId: string, hash: string): boolean {
    return this.#hashes.has(`${memorySessionId}\0${hash}`);
  }

  /** Returns all rows in groups that one statement can insert, and clears them. */
  takeGroups(): PendingRow[][] {
    const groups = [...this.#groups.values()];
    this.#groups.clear();
    this.#keys.clear();
    this.#hashes.clear();
    return groups;
  }
}
