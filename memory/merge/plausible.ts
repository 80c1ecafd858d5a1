import { SHAPES } from '../kinds.ts';
import type { Operation } from '../operation.ts';
import type { Row, Value } from '../values.ts';
import type { Version } from '../versions.ts';

/**
 * How far ahead of this machine's clock a memory may be dated, in milliseconds: a hundred years. Clocks of honest machines are wrong by
 * decades, this one's among them (an empty battery makes it 1970), and what they tell is true all the same. What is beyond is no
 * date, and would come before all others for ever.
 */
const MAX_AHEAD_MS = 100 * 365.25 * 24 * 3_600_000;

/** Why an operation is put aside until its memory is written again. */
const NO_DATE = 'it is dated more than a hundred years ahead';

/** Why an operation is put aside until its memory is written again. */
const COUNTER = 'its counter is not a plausible one';

/**
 * How far a write's counter may be above the greatest one known of its memory: writes add 1. A counter near the largest one
 * that may be told would make a memory that nobody could change any more.
 */
const MAX_STEP = 2 ** 20;

/** The greatest counter that an operation carries. */
export const greatestCounter = (operation: Operation): number =>
  Math.max(...versionsOf(operation).map(({ counter }) => counter));

/**
 * Judges what an operation says of itself. Its clock is not judged: which of two writes is later goes by their counters first, and a
 * machine whose clock is wrong by years still tells true memories.
 * @param counter the greatest counter that is known of its memory, 0 for none
 * @param now this machine's clock, epoch ms
 * @returns why it is put aside, null when it is plausible
 */
export function implausible(operation: Operation, counter: number, now: number): string | null {
  if (greatestCounter(operation) > counter + MAX_STEP) return COUNTER;
  const latest = now + MAX_AHEAD_MS;
  if (operation.type === 'delete') return null;
  const columns = operation.type === 'full' ? operation.set : operation.up;
  return timesOf(operation.kind, columns).some((time) => time > latest) ? NO_DATE : null;
}

function versionsOf(operation: Operation): Version[] {
  const { version } = operation;
  return operation.type === 'full' ? [version, ...operation.written.values()] : [version];
}

/** The moments that a row's columns name, epoch ms; what is no moment is left out. */
function timesOf(kind: Operation['kind'], row: Row): number[] {
  const { columns } = SHAPES[kind];
  return columns
    .filter((column) => /_(at|epoch)$/.test(column) && row[column] !== undefined)
    .map((column) => momentOf(row[column] ?? null))
    .filter((moment) => !Number.isNaN(moment));
}

/** A number, digits (which SQLite stores as the number they are) or a date, as epoch ms; NaN for anything else. */
function momentOf(value: Value): number {
  if (value === null) return NaN;
  if (typeof value === 'number') return value;
  if (typeof value === 'string') return fromText(value);
  if ('$int' in value) return Number(value.$int);
  if ('$real' in value) return Number(value.$real);
  const bytes = '$text' in value ? value.$text : value.$blob;
  return fromText(Buffer.from(bytes, 'base64').toString('latin1'));
}

function fromText(text: string): number {
  const number = text.trim() === '' ? NaN : Number(text);
  return Number.isNaN(number) ? Date.parse(text) : number;
}
