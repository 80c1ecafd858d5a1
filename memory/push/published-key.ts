import { nameOf, type MemoryRow } from '../claude-mem/read.ts';
import { ordinalOf } from '../format/keys.ts';
import { isKnownIn, type Entity } from '../ledger/entities.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Outgoing, OutgoingRow } from './outgoing.ts';
import { freeKey } from '../detect/free-key.ts';
import type { Row } from '../format/values.ts';
import { UNVERSIONED } from '../format/versions.ts';

/** As which memory a space is told of a row. */
export interface PublishedAs {
  /** The memory, or null where the space is not told: it has the row, or another memory stands for it. */
  readonly told: { readonly entity: Entity; readonly set: Row; readonly ordinal: number } | null;
  /** What the ledger is to note of the memory that was asked for: that the space has it, or that it is none. */
  readonly note: 'known' | 'forget' | null;
}

const KNOWN: PublishedAs = { told: null, note: 'known' };

/**
 * Chooses the key under which a space is told of a row. It follows from the row's text without secrets; but a row goes by one
 * key, so one that a space knows it by stays, whatever counts as a secret today. Under a second key it would be a second memory.
 * @param entity the memory by which the row was come upon
 * @param row.told the row as the space is told of it today
 */
export function publishedAs(
  { ledger, space, outgoing }: { ledger: Ledger; space: number; outgoing: Outgoing },
  entity: Entity,
  { row, told }: { row: MemoryRow; told: OutgoingRow },
): PublishedAs {
  const { kind } = row;
  const { set } = told;
  const name = nameOf(row.of);
  /** Whether a memory was told of here; after a loss in the store, nobody knows in which space that was. */
  const isOfSpace = (each: Entity): boolean => isKnownIn(each, space) || each.spaces === 0;
  const isPublished = entity.version.counter > 0;
  const isToldOtherwise = (): boolean =>
    set !== told.plain &&
    ledger.entities
      .allByRow(kind, row.id)
      .some(
        (other) =>
          !other.dead &&
          other.version.counter > 0 &&
          isOfSpace(other) &&
          outgoing.formerSet(other.key, row, told) !== null,
      );
  if (!isPublished && isToldOtherwise()) return KNOWN;
  const ordinal = told.isNamed ? 0 : ordinalOf(entity.key, kind, set, name);
  if (ordinal !== null) return { told: { entity, set, ordinal }, note: null };
  if (isPublished) {
    const former = outgoing.formerSet(entity.key, row, told);
    // A row that this claude-mem cannot name as its peers do (it does not know the platform): they have it.
    if (former === null) return KNOWN;
    if (isOfSpace(entity)) return { told: { entity, ...former }, note: null };
  }
  // What is sent has another key than what is here: secrets were taken out, or the row was changed meanwhile. Another space may
  // know it with what counts as a secret today: this one is told of it without.
  const free = freeKey(ledger, { ...row, set });
  const other = free.known ?? { ...entity, key: free.key, spaces: 0, version: UNVERSIONED, origin: null };
  if (isPublished) {
    const isThere = isKnownIn(other, space);
    return { told: isThere ? null : { entity: other, set, ordinal: free.ordinal }, note: null };
  }
  const isStill = ordinalOf(entity.key, kind, row.set, name) !== null;
  return { told: { entity: other, set, ordinal: free.ordinal }, note: isStill ? 'known' : 'forget' };
}
