import { numberOf, isSameValue, textOf, type Row, type Value } from '../format/values.ts';

/**
 * Order of session statuses; a status never goes back. A session completed on one machine is completed
 * everywhere.
 */
const STATUS_RANK: Readonly<Record<string, number>> = { active: 0, failed: 1, completed: 2 };

const rank = (status: Value | undefined): number => STATUS_RANK[textOf(status) ?? ''] ?? -1;

/**
 * Folds an operation's session progress into the local session: earliest start, latest end, furthest status,
 * greater prompt count. The order of operations does not matter.
 * @param local the session here;
 * @param incoming columns of the operation; some may be absent
 * @returns the columns that change, with their new values
 */
export function foldLattices(local: Row, incoming: Row): Row {
  const folded: Record<string, Value> = { ...local };
  if (rank(incoming['status']) > rank(local['status'])) folded['status'] = incoming['status'] ?? null;
  takePair(folded, incoming, 'started_at', 'earliest');
  takePair(folded, incoming, 'completed_at', 'latest');
  const counters = [local['prompt_counter'], incoming['prompt_counter']].map((value) => numberOf(value) ?? 0);
  if ('prompt_counter' in local) folded['prompt_counter'] = Math.max(...counters);
  const changed = differingColumns(folded, local, Object.keys(folded));
  return Object.fromEntries(changed.map((column) => [column, folded[column] ?? null]));
}

/** Takes a time as a pair: its text and epoch columns stay together. */
function takePair(
  folded: Record<string, Value>,
  incoming: Row,
  column: string,
  wanted: 'earliest' | 'latest',
): void {
  const epoch = `${column}_epoch`;
  const ours = { epoch: folded[epoch] ?? null, text: folded[column] ?? null };
  const theirs = { epoch: incoming[epoch] ?? null, text: incoming[column] ?? null };
  if (compareTimes(theirs, ours, wanted) <= 0) return;
  folded[epoch] = theirs.epoch;
  folded[column] = theirs.text;
}

interface Time {
  readonly epoch: Value;
  readonly text: Value;
}

/**
 * Compares two times; positive when the first is kept. The order is total, down to the text: if two machines
 * each kept their own, they would exchange the values forever.
 */
function compareTimes(a: Time, b: Time, wanted: 'earliest' | 'latest'): number {
  const [first, second] = [numberOf(a.epoch), numberOf(b.epoch)];
  if (first !== null && second !== null && first !== second) {
    return wanted === 'earliest' ? second - first : first - second;
  }
  if ((first === null) !== (second === null)) return first === null ? -1 : 1;
  return compareWritten(a.epoch, b.epoch) || compareWritten(a.text, b.text);
}

function compareWritten(a: Value, b: Value): number {
  const written = (value: Value): string => (value === null ? '' : JSON.stringify(value));
  return written(a) < written(b) ? -1 : written(a) > written(b) ? 1 : 0;
}

/** Returns the columns in which two rows differ; NULL and absent count as equal. */
export function differingColumns(a: Row, b: Row, columns: readonly string[]): string[] {
  return columns.filter((column) => !isSameValue(a[column] ?? null, b[column] ?? null));
}
