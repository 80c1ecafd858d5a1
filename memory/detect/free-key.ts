import { namedSession, type MemoryRow } from '../claude-mem/read.ts';
import { memoryKey } from '../format/keys.ts';
import type { Entity } from '../ledger/entities.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** A key that no other row of this database has. */
export interface FreeKey {
  readonly key: Buffer;
  readonly ordinal: number;
  /** The ledger's record of the memory with this key. */
  readonly known: Entity | null;
}

/**
 * Returns a row's key with the lowest ordinal that no other row of this database has.
 * @param isThere returns whether another row of the kind still exists; a missing row is not a twin, even if
 * the audit has not noticed it yet. By default every row in the ledger counts as existing.
 * @param first the key with ordinal 0, where it is known
 */
export function freeKey(
  ledger: Ledger,
  row: MemoryRow,
  isThere: (other: number) => boolean = () => true,
  first?: Buffer,
): FreeKey {
  for (let ordinal = 0; ; ordinal += 1) {
    const key =
      ordinal === 0 && first !== undefined
        ? first
        : memoryKey(row.kind, row.set, namedSession(row.of), ordinal);
    const known = ledger.entities.byKey(key);
    if (known === null || known.row === null || known.row === row.id || !isThere(known.row)) {
      return { key, ordinal, known };
    }
  }
}
