import type { FullOperation } from '../format/operation.ts';
import type { Row } from '../format/values.ts';

/** A row that is ready to be inserted, and the operation that it came of. */
export interface PendingRow {
  readonly operation: FullOperation;
  /** The ledger's id of the segment that brought it. */
  readonly origin: number;
  readonly row: Row;
}

/** Rows that a merge has decided to insert, so that many go in by one statement. */
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

  /** Whether a row of a session has a content hash already. */
  hasHash(memorySessionId: string, hash: string): boolean {
    return this.#hashes.has(`${memorySessionId}\0${hash}`);
  }

  /** All rows, in groups that one statement can insert; none are left. */
  takeGroups(): PendingRow[][] {
    const groups = [...this.#groups.values()];
    this.#groups.clear();
    this.#keys.clear();
    this.#hashes.clear();
    return groups;
  }
}
