import type { Changes } from '../detect/changes.ts';
import type { RowReader } from '../claude-mem/read.ts';
import { KINDS, type Kind } from '../format/kinds.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { nameRow } from '../detect/scan.ts';

/** Rows read at a time; between two batches of a merge a worker writes a few. */
const PAGE = 1_000;

/**
 * Names rows that claude-mem wrote while a merge was under way: one that is a true twin of what a peer tells would be taken
 * for another memory otherwise, and be there once more.
 */
export class Newcomers {
  readonly #reader: RowReader;
  readonly #ledger: Ledger;
  readonly #context: { readonly reader: RowReader; readonly ledger: Ledger; readonly changes: Changes };
  /** Up to which local id rows are named, or were put there by the merge. */
  readonly #named: Map<Kind, number>;

  /** @param reader on the connection that merges */
  constructor(reader: RowReader, ledger: Ledger, changes: Changes) {
    this.#reader = reader;
    this.#ledger = ledger;
    this.#context = { reader, ledger, changes };
    this.#named = new Map(KINDS.map((kind) => [kind, ledger.highestRow(kind)]));
  }

  /** To be called when a transaction on both files has begun: nobody else writes from then on. */
  name(): void {
    for (const [kind, named] of this.#named) {
      const high = this.#reader.maxId(kind);
      for (let from = named; from < high;) {
        const rows = this.#reader.after(kind, from, PAGE);
        for (const row of rows) nameRow(this.#context, row);
        from = rows.at(-1)?.id ?? high;
      }
    }
  }

  /** To be called at the end of the transaction: what it wrote has its names. */
  pass(): void {
    for (const [kind, named] of this.#named) {
      const high = this.#reader.maxId(kind);
      if (high <= named) continue;
      this.#named.set(kind, high);
      // The next scan skips the rows that this merge inserted.
      this.#ledger.entities.setScannedTo(kind, high);
    }
  }
}
