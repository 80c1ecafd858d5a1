import { nameOf } from '../claude-mem/read.ts';
import type { SyncSession } from '../session.ts';
import { sessionKey } from './sessions.ts';

/** Where the ledger keeps up to which local id sessions have their one name. */
const SETTLED = 'sessions:named';

/** Sessions read at a time. */
const PAGE = 1_000;

/**
 * Gives sessions that were just scanned the one name that they have. Other rows may have a true twin; a session may not:
 * where its name is that of a row that is gone, it was deleted and written again. To be called after every scan.
 * @throws SqliteError as SQLite gives it; it goes on where it was
 */
export function settleSessionNames({
  reader,
  ledger,
  changes,
}: Pick<SyncSession, 'reader' | 'ledger' | 'changes'>): void {
  const high = ledger.entities.scannedTo('session');
  const settled = Number(ledger.meta(SETTLED) ?? 0);
  if (settled === high) return;
  // Lower ids than before: the ledger was made anew.
  for (let from = settled > high ? 0 : settled; from < high;) {
    const rows = reader.after('session', from, PAGE).filter(({ id }) => id <= high);
    from = rows.at(-1)?.id ?? high;
    ledger.atomically(() => {
      for (const { id, of } of rows) {
        const name = nameOf(of);
        const entity = name === null ? null : ledger.entities.byKey(sessionKey(name));
        if (entity === null || entity.row === null || entity.row === id) continue;
        if (reader.byId('session', entity.row) === null) changes.replace(entity, id);
      }
      ledger.setMeta(SETTLED, from);
    });
  }
}
