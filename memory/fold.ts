import { SHAPES } from './kinds.ts';
import { numberOf, sameValue, textOf, type Row, type Value } from './values.ts';

/** How far a session has come; it never goes back. A conversation that was completed anywhere is completed. */
const STATUS_RANK: Readonly<Record<string, number>> = { active: 0, failed: 1, completed: 2 };

const rank = (status: Value | undefined): number => STATUS_RANK[textOf(status) ?? ''] ?? -1;

/**
 * Folds what an operation says of a session into what is known here. The order in which operations arrive does not
 * matter: times and status are lattices (earliest start, latest end, furthest status), the other columns are registers
 * in which a value beats NULL and the later version beats the earlier.
 * @param local the session here; @param incoming the session of the operation
 * @param incomingIsLater whether the operation's version is the later one
 */
export function foldSession(local: Row, incoming: Row, incomingIsLater: boolean): Row {
  const folded: Record<string, Value> = { ...local };
  for (const column of SHAPES.session.registers) {
    const [first, second] = incomingIsLater ? [incoming, local] : [local, incoming];
    folded[column] = first[column] ?? second[column] ?? null;
  }
  if (rank(incoming['status']) > rank(local['status'])) folded['status'] = incoming['status'] ?? null;
  takePair(folded, incoming, 'started_at', (theirs, ours) => theirs < ours);
  takePair(folded, incoming, 'completed_at', (theirs, ours) => theirs > ours);
  const counters = [local['prompt_counter'], incoming['prompt_counter']].map((value) => numberOf(value) ?? 0);
  if ('prompt_counter' in local) folded['prompt_counter'] = Math.max(...counters);
  return folded;
}

/** A time is two columns, text and epoch, that must stay together. */
function takePair(
  folded: Record<string, Value>,
  incoming: Row,
  column: string,
  beats: (theirs: number, ours: number) => boolean,
): void {
  const theirs = numberOf(incoming[`${column}_epoch`]);
  const ours = numberOf(folded[`${column}_epoch`]);
  if (theirs === null || (ours !== null && !beats(theirs, ours))) return;
  folded[`${column}_epoch`] = theirs;
  folded[column] = incoming[column] ?? null;
}

/** Columns in which two rows differ; NULL and absent are the same. */
export function differingColumns(a: Row, b: Row, columns: readonly string[]): string[] {
  return columns.filter((column) => !sameValue(a[column] ?? null, b[column] ?? null));
}
