import type { Changes } from '../detect/changes.ts';
import type { RowReader } from '../claude-mem/read.ts';
import { KINDS, type Kind } from '../format/kinds.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { nameRow } from '../detect/scan.ts';

/** Rows read at a time; between two batches of a merge a worker writes only a few. */
const PAGE_ROWS = 1_000;

/**
 * Names rows that claude-mem wrote during a merge. Otherwise an unnamed row that matches an incoming memory
 * would be taken for another one, and the memory would exist twice.
 */
export class Newcomers {
  readonly #reader: RowReader;
  readonly #ledger: Ledger;
  readonly #context: { readonly reader: RowReader; readonly ledger: Ledger; readonly changes: Changes };
  /** Highest local id per kind that was named or written by the merge. */
  readonly #named: Map<Kind, number>;

  /** @param reader on the merging connection */
  constructor(reader: RowReader, ledger: Ledger, changes: Changes) {
    this.#reader = reader;
    this.#ledger = ledger;
    this.#context = { reader, ledger, changes };
    this.#named = new Map(KINDS.map((kind) => [kind, ledger.highestRow(kind)]));
  }

  /** Call at the start of the transaction on both files: from then on no other connection writes. */
  nameRows(): void {
    for (const [kind, named] of this.#named) {
      const high = this.#reader.maxId(kind);
      for (let from = named; from < high;) {
        const rows = this.#reader.readAfter(kind, from, PAGE_ROWS);
        for (const row of rows) nameRow(this.#context, row);
        from = rows.at(-1)?.id ?? high;
      }
    }
  }

  /** Call at the end of the transaction: the rows that it wrote are named. */
  pass(): void {
    for (const [kind, named] of this.#named) {
      const high = this.#reader.maxId(kind);
      if (high <= named) continue;
      this.#named.set(kind, high);
      // The next scan then starts after the rows that this merge inserted.
      this.#ledger.entities.setScannedTo(kind, high);
    }
  }
}
