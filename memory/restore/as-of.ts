import { LINK } from '../format/kinds.ts';
import type { FullOperation, Operation } from '../format/operation.ts';
import { MAX_DRIFT_MS, UNVERSIONED, clockAt, type Version } from '../format/versions.ts';

/** The last reading of the hybrid clock within the second that a time lies in. @param at epoch ms */
export const lastClockIn = (at: number): number => clockAt((Math.floor(at / 1_000) + 1) * 1_000) - 1;

/** What says when an operation was written, beside the clock of the node that wrote it. */
export interface Arrival {
  /** When it was here or in a snapshot at the latest, epoch ms; null when that is not known. */
  readonly arrived: number | null;
  /** Epoch ms. */
  readonly now: number;
}

/**
 * What of an operation had been written by a time: all of it, nothing (null), or the memory as a whole without the
 * registers that were written later. Of these the value stays as the oldest there is: another operation tells of the one
 * that stood then, if one was there.
 *
 * "Written" goes by the clock of the node that wrote. Where that was ahead of its time it is no proof: the operation counts
 * as written when it arrived, and a memory of which nobody knows that either was there, because a restore must not delete
 * it for its node's clock.
 * @param at epoch ms
 */
export function asOf(operation: Operation, at: number, { arrived, now }: Arrival): Operation | null {
  const limit = lastClockIn(at);
  const isLater = (hlc: number): boolean => {
    const isAhead = arrived !== null && hlc > clockAt(arrived + MAX_DRIFT_MS);
    return (isAhead ? clockAt(arrived) : hlc) > limit;
  };
  const { hlc } = operation.version;
  const isUndated = operation.type === 'full' && arrived === null && hlc > clockAt(now + MAX_DRIFT_MS);
  if (isLater(hlc) && !isUndated) return null;
  if (operation.type !== 'full') return operation;
  const later = [...operation.written].filter(([, write]) => isLater(write.hlc)).map(([unit]) => unit);
  return later.length === 0 ? operation : withoutLater(operation, later);
}

function withoutLater(operation: FullOperation, later: readonly string[]): FullOperation {
  const written = new Map<string, Version>(operation.written);
  for (const unit of later) {
    if (unit !== LINK && (operation.set[unit] ?? null) === null) written.delete(unit);
    else written.set(unit, UNVERSIONED);
  }
  return { ...operation, written };
}
