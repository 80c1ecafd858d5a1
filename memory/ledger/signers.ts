import type Database from 'better-sqlite3';
import type { Version } from '../format/versions.ts';
import { statementsOf } from './statements.ts';

/** A write of a memory: of one register, or of the memory as a whole (unit empty). */
export interface SignedWrite {
  readonly key: Buffer;
  readonly unit: string;
  /** As the operation says, with the name of its writer. */
  readonly version: Version;
}

/**
 * The ledger's table of writes that another node signed than they name: a node that tells a space of what it had from another one, or
 * one that uses another's name. All other writes were signed by the node that they name.
 */
export class Signers {
  readonly #sql: ReturnType<typeof statementsOf>;
  /** Whether there may be any: most ledgers have none, and a merge must not pay for looking. */
  #any: boolean;

  constructor(db: Database.Database) {
    this.#sql = statementsOf(db);
    this.#any = this.#sql('SELECT 1 FROM signer LIMIT 1').get() !== undefined;
  }

  /** Notes the segment in which a write came that names another node than the segment's. The first one stays. */
  note({ key, unit, version }: SignedWrite, segment: number): void {
    const { counter, hlc, node } = version;
    this.#sql(
      'INSERT OR IGNORE INTO signer (key, unit, counter, hlc, node, segment) VALUES (?, ?, ?, ?, ?, ?)',
    ).run(key, unit, counter, hlc, node, segment);
    this.#any = true;
  }

  /** The node that a write names signed it as well. */
  confirm({ key, unit, version }: SignedWrite): void {
    if (!this.#any) return;
    const { counter, hlc, node } = version;
    this.#sql('DELETE FROM signer WHERE key = ? AND unit = ? AND counter = ? AND hlc = ? AND node = ?').run(
      key,
      unit,
      counter,
      hlc,
      node,
    );
  }

  /** The node that signed a write, where that is not the one that it names; else null. */
  other({ key, unit, version }: SignedWrite): string | null {
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
