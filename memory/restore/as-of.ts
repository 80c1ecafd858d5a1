import { LINK_REGISTER } from '../format/kinds.ts';
import type { FullOperation, Operation } from '../format/operation.ts';
import { MAX_DRIFT_MS, UNVERSIONED, clockAt, type Version } from '../format/versions.ts';

/**
 * Returns the last reading of the hybrid clock within a time's second.
 * @param at epoch milliseconds
 */
export const lastClockIn = (at: number): number => clockAt((Math.floor(at / 1_000) + 1) * 1_000) - 1;

/** When an operation was written, apart from its author's clock. */
export interface Arrival {
  /** The latest time at which it was here or in a snapshot, epoch milliseconds; null when unknown. */
  readonly arrived: number | null;
  /** Epoch milliseconds. */
  readonly now: number;
}

/**
 * Returns what of an operation had been written by a time. This is all of it, nothing (null), or the whole
 * memory without the registers that were written later. Those keep their value at the oldest version; if
 * another operation holds the value of that time, it wins.
 *
 * The author's clock decides, unless it was ahead. Then the operation counts as written when it arrived. If
 * the arrival is unknown as well, the memory counts as existing: a restore must not delete it because of its
 * node's clock.
 * @param at epoch milliseconds
 */
export function restrictTo(operation: Operation, at: number, { arrived, now }: Arrival): Operation | null {
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
    if (unit !== LINK_REGISTER && (operation.set[unit] ?? null) === null) written.delete(unit);
    else written.set(unit, UNVERSIONED);
  }
  return { ...operation, written };
}
