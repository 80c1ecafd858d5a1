import type Database from 'better-sqlite3';
import { statementsOf } from './statements.ts';

/** A sealed segment on its way to the store. */
export interface OutboxEntry {
  readonly epoch: string;
  readonly seq: number;
  readonly sha: string;
  readonly operations: number;
  readonly bytes: Buffer;
}

/** The ledger's outbox: the exact bytes of segments that the store may not have yet. */
export class Outbox {
  readonly #sql: ReturnType<typeof statementsOf>;

  constructor(db: Database.Database) {
    this.#sql = statementsOf(db);
  }

  add(space: number, entry: OutboxEntry): void {
    this.#sql('INSERT INTO outbox (space, epoch, seq, sha, operations, bytes) VALUES (?, ?, ?, ?, ?, ?)').run(
      space,
      entry.epoch,
      entry.seq,
      entry.sha,
      entry.operations,
      entry.bytes,
    );
  }

  /** Returns the oldest entry of a space, or null when everything is sent. */
  next(space: number): OutboxEntry | null {
    const entry = this.#sql(
      'SELECT epoch, seq, sha, operations, bytes FROM outbox WHERE space = ? ORDER BY epoch, seq LIMIT 1',
    ).get(space) as OutboxEntry | undefined;
    return entry ?? null;
  }

  remove(space: number, epoch: string, seq: number): void {
    this.#sql('DELETE FROM outbox WHERE space = ? AND epoch = ? AND seq = ?').run(space, epoch, seq);
  }

  has(space: number, epoch: string, seq: number): boolean {
    return (
      this.#sql('SELECT 1 FROM outbox WHERE space = ? AND epoch = ? AND seq = ?').get(space, epoch, seq) !==
      undefined
    );
  }

  isEmpty(space: number): boolean {
    return this.#sql('SELECT 1 FROM outbox WHERE space = ? LIMIT 1').get(space) === undefined;
  }
}
