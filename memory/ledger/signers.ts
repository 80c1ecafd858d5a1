import type Database from 'better-sqlite3';
import type { Version } from '../format/versions.ts';
import { statementsOf } from './statements.ts';

/** A write of one register, or of the whole memory (unit empty). */
export interface SignedWrite {
  readonly key: Buffer;
  readonly unit: string;
  /** The version in the operation, which names the author. */
  readonly version: Version;
}

/**
 * The ledger's table of writes that were signed by another node than their author: that node forwarded the
 * write, or used the author's name. All other writes were signed by their author.
 */
export class Signers {
  readonly #sql: ReturnType<typeof statementsOf>;
  /** Whether the table may have rows. Most ledgers have none, and then a merge avoids the lookup. */
  #hasSigners: boolean;

  constructor(db: Database.Database) {
    this.#sql = statementsOf(db);
    this.#hasSigners = this.#sql('SELECT 1 FROM signer LIMIT 1').get() !== undefined;
  }

  /**
   * Records the segment of a write that names another author than the segment's signer. The first record
   * stays.
   */
  note({ key, unit, version }: SignedWrite, segment: number): void {
    const { counter, hlc, node } = version;
    this.#sql(
      'INSERT OR IGNORE INTO signer (key, unit, counter, hlc, node, segment) VALUES (?, ?, ?, ?, ?, ?)',
    ).run(key, unit, counter, hlc, node, segment);
    this.#hasSigners = true;
  }

  /** Records that the author signed the write as well. */
  confirm({ key, unit, version }: SignedWrite): void {
    if (!this.#hasSigners) return;
    const { counter, hlc, node } = version;
    this.#sql('DELETE FROM signer WHERE key = ? AND unit = ? AND counter = ? AND hlc = ? AND node = ?').run(
      key,
      unit,
      counter,
      hlc,
      node,
    );
  }

  /** Returns the node that signed a write, if it is not the author; else null. */
  otherSignerOf({ key, unit, version }: SignedWrite): string | null {
    const { counter, hlc, node } = version;
    const found = this.#sql(
      `SELECT segment.node FROM signer JOIN segment ON segment.id = signer.segment
       WHERE key = ? AND unit = ? AND counter = ? AND hlc = ? AND signer.node = ?`,
    )
      .pluck()
      .get(key, unit, counter, hlc, node) as string | undefined;
    return found ?? null;
  }
}
