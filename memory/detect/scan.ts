import { setImmediate as nextTurn } from 'node:timers/promises';
import { namedSession, type MemoryRow, type RowReader } from '../claude-mem/read.ts';
import type { Changes } from './changes.ts';
import { KINDS } from '../format/kinds.ts';
import { memoryKey } from '../format/keys.ts';
import { freeKey, type FreeKey } from './free-key.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { publishedForms } from '../space/redact.ts';
import type { SyncSession } from '../session.ts';

/** Rows per read transaction, well under the second after which a reader would hold back the WAL. */
const PAGE_ROWS = 1_000;

/** Dependencies of a scan. */
export type ScanContext = Pick<SyncSession, 'db' | 'reader' | 'ledger' | 'changes' | 'scanned' | 'signal'>;

/**
 * Finds rows that claude-mem added since the last look, and names each in the ledger. Ids only grow
 * (AUTOINCREMENT), so every id above the last one seen is new.
 * @returns how many rows were seen for the first time
 * @throws SqliteError from SQLite; rows named before stay named
 */
export async function scanNewRows(context: ScanContext): Promise<number> {
  const { db, reader, ledger, scanned } = context;
  let found = 0;
  for (let more = true; more;) {
    context.signal.throwIfAborted();
    more = false;
    const pages = db.transaction(() => {
      scanned.revalidate();
      return KINDS.map((kind) => ({
        kind,
        rows: reader.readAfter(kind, ledger.entities.scannedTo(kind), PAGE_ROWS),
      }));
    })();
    if (pages.every(({ rows }) => rows.length === 0)) break;
    ledger.atomically(() => {
      for (const { kind, rows } of pages) {
        const last = rows.at(-1);
        if (last === undefined) continue;
        const isUnknown = !ledger.knowsAbove(kind, ledger.entities.scannedTo(kind));
        found += rows.filter((row) => nameRow(context, row, isUnknown)).length;
        ledger.entities.setScannedTo(kind, last.id);
        more ||= rows.length === PAGE_ROWS;
      }
    });
    if (more) await nextTurn();
  }
  return found;
}

/**
 * Names a row unless it has a name. Returns whether it was new.
 * @param context.scanned records what was found, if the row was read by the connection that a push reads from
 * @param isUnknown whether the ledger knows nothing of the row's id, so that no lookup is needed
 */
export function nameRow(
  context: Pick<ScanContext, 'reader' | 'ledger' | 'changes'> & Partial<Pick<ScanContext, 'scanned'>>,
  row: MemoryRow,
  isUnknown = false,
): boolean {
  const { reader, ledger, changes, scanned } = context;
  const { kind, id } = row;
  if (!isUnknown && ledger.marks.get(kind, id) !== null) return false;
  const first = memoryKey(kind, row.set, namedSession(row.of));
  ledger.marks.set(kind, id, changes.markOf(row, first));
  if (!isUnknown && ledger.entities.byRow(kind, id) !== null) return false;
  if (row.isReplica && isEcho(reader, ledger, row)) return false;
  // Peers know a memory with secrets by its redacted key, as computed by the release that published it.
  const forms = publishedForms(row.set, ledger.ruleSet);
  if (forms.length === 1) scanned?.note(kind, id, first);
  if (forms.length === 1 && ledger.entities.add(first, kind, id)) return true;
  const isThere = (other: number): boolean => reader.byId(kind, other) !== null;
  for (const set of forms.toReversed()) {
    const free = freeKey(ledger, { ...row, set }, isThere, set === row.set ? first : undefined);
    // A memory deleted under a key with a secret comes back under the redacted key only.
    if (free.known?.dead === true && set !== forms[0]) continue;
    recordName(ledger, changes, free, row);
  }
  return true;
}

/**
 * Returns whether another sync copied a memory that is already here in another row; then the copy is not
 * sent. For prompts the session is ignored, because claude-mem's cloud sync may put them into one that it
 * made up.
 */
function isEcho(reader: RowReader, ledger: Ledger, row: MemoryRow): boolean {
  const { kind, id } = row;
  const keys = publishedForms(row.set, ledger.ruleSet).map((set) =>
    memoryKey(kind, set, namedSession(row.of)),
  );
  const holders = keys.map((key) => ledger.entities.byKey(key)?.row ?? null);
  if (holders.some((holder) => holder !== null && holder !== id && reader.byId(kind, holder) !== null))
    return true;
  return (
    kind === 'prompt' &&
    reader.idsOfSamePrompt(row).some((other) => other !== id && ledger.entities.byRow(kind, other) !== null)
  );
}

/** Records that a row holds a memory: a new one, or a deleted one that is written again. */
function recordName(
  ledger: Ledger,
  changes: Changes,
  { key, known }: FreeKey,
  { kind, id }: MemoryRow,
): void {
  if (known === null || (known.row === null && !known.dead)) ledger.entities.recordSeen(key, kind, id);
  else if (known.row !== id) changes.takeOver(known, id);
}
