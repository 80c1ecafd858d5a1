import { setTimeout as sleep } from 'node:timers/promises';
import { openForMerging } from '../claude-mem/open.ts';
import { RowReader } from '../claude-mem/read.ts';
import { RowWriter } from '../claude-mem/write.ts';
import { KINDS } from '../format/kinds.ts';
import type { SyncSession } from '../session.ts';
import type { Row } from '../format/values.ts';

/** Memories per transaction. A pause follows each, so that claude-mem's worker can write in between. */
const BATCH = 100;
const PAUSE_MS = 20;

/** Ledger entry that holds the columns claude-mem had when columns were last adopted. */
const COLUMNS_ENTRY = 'schema:columns';

/**
 * Moves columns that peers sent before this claude-mem had them from the ledger into the upgraded tables.
 * Keeps values that the upgrade or the worker wrote there.
 * @throws SqliteError when the database is locked; the next sync continues
 */
export async function adoptColumns(session: SyncSession): Promise<void> {
  const { ledger, schema, changes } = session;
  const columns = JSON.stringify(KINDS.map((kind) => [...schema.columns[kind]].sort()));
  const before = ledger.meta(COLUMNS_ENTRY);
  if (before === columns) return;
  if (before === null || ledger.inbox.extras(Buffer.alloc(0), 1).length === 0) {
    ledger.setMeta(COLUMNS_ENTRY, columns);
    return;
  }
  const db = openForMerging(session.path, session.inode);
  try {
    const reader = new RowReader(db, schema);
    const writer = new RowWriter(db);
    for (let after = Buffer.alloc(0); ;) {
      session.signal.throwIfAborted();
      const page = ledger.inbox.extras(after, BATCH);
      const last = page.at(-1);
      if (last === undefined) break;
      ledger.atomically(() =>
        db
          .transaction(() => {
            for (const { key, columns: kept } of page) {
              const entity = ledger.entities.byKey(key);
              const row =
                entity === null || entity.row === null ? null : reader.byId(entity.kind, entity.row);
              if (entity === null || row === null) continue;
              const has = schema.columns[entity.kind];
              const here = Object.entries(kept).filter(([column]) => has.has(column));
              if (here.length === 0) continue;
              const empty = here.filter(
                ([column]) => (row.set[column] ?? row.extra?.[column] ?? null) === null,
              );
              writer.update(entity.kind, row.id, Object.fromEntries(empty));
              const left: Row = Object.fromEntries(
                Object.entries(kept).filter(([column]) => !has.has(column)),
              );
              ledger.inbox.setExtra(key, Object.keys(left).length === 0 ? null : left);
              const now = reader.byId(entity.kind, row.id);
              if (now !== null) ledger.marks.set(entity.kind, row.id, changes.markOf(now));
            }
          })
          .immediate(),
      );
      after = Buffer.from(last.key);
      await sleep(PAUSE_MS);
    }
  } finally {
    db.close();
  }
  ledger.setMeta(COLUMNS_ENTRY, columns);
}
