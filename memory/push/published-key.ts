import { namedSession, type MemoryRow } from '../claude-mem/read.ts';
import { ordinalOf } from '../format/keys.ts';
import { isKnownIn, type Entity } from '../ledger/entities.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Outgoing, OutgoingRow } from './outgoing.ts';
import { freeKey } from '../detect/free-key.ts';
import type { Row } from '../format/values.ts';
import { UNVERSIONED } from '../format/versions.ts';

/** Under which memory a row is sent to a space. */
export interface PublishedAs {
  /** The memory; null when nothing is sent: the space has the row, or another memory stands for it. */
  readonly told: { readonly entity: Entity; readonly set: Row; readonly ordinal: number } | null;
  /** The record that the ledger needs for the given memory: the space knows it, or it does not exist. */
  readonly note: 'known' | 'forget' | null;
}

const ALREADY_KNOWN: PublishedAs = { told: null, note: 'known' };

/**
 * Chooses the key under which a row is sent to a space. The key follows from the redacted text. A key that
 * the space already knows stays, even if the rules for secrets changed, because a second key would be a
 * second memory.
 * @param entity the memory through which the row was found
 * @param row.told the row in the form that the space receives today
 */
export function publishedAs(
  { ledger, space, outgoing }: { ledger: Ledger; space: number; outgoing: Outgoing },
  entity: Entity,
  { row, told }: { row: MemoryRow; told: OutgoingRow },
): PublishedAs {
  const { kind } = row;
  const { set } = told;
  const name = namedSession(row.of);
  /** Whether this space may know the memory. After a loss in the store, no one knows which space did. */
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
          outgoing.findFormerSet(other.key, row, told) !== null,
      );
  if (!isPublished && isToldOtherwise()) return ALREADY_KNOWN;
  const ordinal = told.isNamed ? 0 : ordinalOf(entity.key, kind, set, name);
  if (ordinal !== null) return { told: { entity, set, ordinal }, note: null };
  if (isPublished) {
    const former = outgoing.findFormerSet(entity.key, row, told);
    // This claude-mem cannot compute the key that peers use, because it does not know the platform. They have
    // the row.
    if (former === null) return ALREADY_KNOWN;
    if (isOfSpace(entity)) return { told: { entity, ...former }, note: null };
  }
  // The sent text has another key than the local one: it was redacted, or the row changed since. Another
  // space may know the row with its secrets; this space gets it without them.
  const free = freeKey(ledger, { ...row, set });
  const other = free.known ?? { ...entity, key: free.key, spaces: 0, version: UNVERSIONED, origin: null };
  if (isPublished) {
    const isThere = isKnownIn(other, space);
    return { told: isThere ? null : { entity: other, set, ordinal: free.ordinal }, note: null };
  }
  const isStill = ordinalOf(entity.key, kind, row.set, name) !== null;
  return { told: { entity: other, set, ordinal: free.ordinal }, note: isStill ? 'known' : 'forget' };
}
