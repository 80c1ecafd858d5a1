import { namedSession } from '../claude-mem/read.ts';
import type { SyncSession } from '../session.ts';
import { sessionKey } from './sessions.ts';

/** Ledger entry for the local id up to which sessions have a unique name. */
const SETTLED_ENTRY = 'sessions:named';

/** Sessions read at a time. */
const PAGE_SESSIONS = 1_000;

/**
 * Gives newly scanned sessions their unique name. Other rows may have a true twin, a session may not: a
 * session with the name of a missing row was deleted and written again. Call after every scan.
 * @throws SqliteError from SQLite; the next call continues
 */
export function settleSessionNames({
  reader,
  ledger,
  changes,
}: Pick<SyncSession, 'reader' | 'ledger' | 'changes'>): void {
  const high = ledger.entities.scannedTo('session');
  const settled = Number(ledger.meta(SETTLED_ENTRY) ?? 0);
  if (settled === high) return;
  // Ids lower than before: the ledger was recreated.
  for (let from = settled > high ? 0 : settled; from < high;) {
    const rows = reader.readAfter('session', from, PAGE_SESSIONS).filter(({ id }) => id <= high);
    from = rows.at(-1)?.id ?? high;
    ledger.atomically(() => {
      for (const { id, of } of rows) {
        const name = namedSession(of);
        const entity = name === null ? null : ledger.entities.byKey(sessionKey(name));
        if (entity === null || entity.row === null || entity.row === id) continue;
        if (reader.byId('session', entity.row) === null) changes.replace(entity, id);
      }
      ledger.setMeta(SETTLED_ENTRY, from);
    });
  }
}
