import { isInMadeUpSession, namedSession, type MemoryRow, type RowReader } from '../claude-mem/read.ts';
import { KINDS } from '../format/kinds.ts';
import { memoryKey } from '../format/keys.ts';
import { isSameValue } from '../format/values.ts';

/**
 * Returns whether a row is another sync's copy. It is one if the memory has its own row, or the machine that
 * wrote it sends it. The same rules apply to this database in scan.ts and emit.ts.
 */
export function isEcho(reader: RowReader, row: MemoryRow): boolean {
  return isInMadeUpSession(row) || hasOwnRow(reader, row);
}

/** Returns whether a row is another sync's copy of a memory that has its own row in the same database. */
export function hasOwnRow(reader: RowReader, row: MemoryRow): boolean {
  const { kind, id, set, isReplica } = row;
  if (!isReplica) return false;
  const at = set['created_at_epoch'];
  if (typeof at !== 'number') return false;
  const key = memoryKey(kind, set, namedSession(row.of));
  return reader.idsWrittenAt(kind, at).some((other) => {
    const found = other === id ? null : reader.byId(kind, other);
    // Of two copies, the first one counts.
    if (found === null || (found.isReplica && other > id)) return false;
    if (kind === 'prompt') return isSameValue(found.set['prompt_text'] ?? null, set['prompt_text'] ?? null);
    return memoryKey(kind, found.set, namedSession(found.of)).equals(key);
  });
}

/** Rows read per step. */
const PAGE_ROWS = 500;

/** Identifies a row by kind and local id. */
export const rowId = ({ kind, id }: Pick<MemoryRow, 'kind' | 'id'>): string => `${kind}/${id}`;

/**
 * Finds the rows of a database that importers would take for copies.
 * @returns their names
 */
export function findEchoes(reader: RowReader, signal: AbortSignal): Set<string> {
  const echoes = new Set<string>();
  for (const kind of KINDS.filter((each) => reader.hasReplicas(each))) {
    for (let last = 0, isMore = true; isMore;) {
      signal.throwIfAborted();
      const rows = reader.readAfter(kind, last, PAGE_ROWS);
      for (const row of rows) if (isEcho(reader, row)) echoes.add(rowId(row));
      last = rows.at(-1)?.id ?? last;
      isMore = rows.length === PAGE_ROWS;
    }
  }
  return echoes;
}
