import { LINK } from '../kinds.ts';
import type { FullOperation, Operation } from '../operation.ts';
import { UNVERSIONED, clockAt, type Version } from '../versions.ts';

/** The last reading of the hybrid clock within the second that a time lies in. @param at epoch ms */
export const lastClockIn = (at: number): number => clockAt((Math.floor(at / 1_000) + 1) * 1_000) - 1;

/**
 * What of an operation had been written by a time: all of it, nothing (null), or the memory as a whole without the
 * registers that were written later. Of these the value stays as the oldest there is: another operation tells of the one
 * that stood then, if there was any.
 * @param at epoch ms
 */
export function asOf(operation: Operation, at: number): Operation | null {
  const limit = lastClockIn(at);
  if (operation.version.hlc > limit) return null;
  if (operation.type !== 'full') return operation;
  const later = [...operation.written].filter(([, { hlc }]) => hlc > limit).map(([unit]) => unit);
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
