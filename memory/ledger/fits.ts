import type Database from 'better-sqlite3';
import { nameOf, type RowReader } from '../claude-mem/read.ts';
import { KINDS, SHAPES, type Kind } from '../kinds.ts';
import { ordinalOf } from '../keys.ts';
import type { Ledger } from './ledger.ts';

/** Rows of each kind that are compared: the newest and the oldest few. */
const SAMPLE = 3;

/**
 * Whether a ledger was made of this very database: its ids never went back, and a sample of rows are still the memories
 * that the ledger says. A restored, replaced or copied-over file must not be read with another one's ledger.
 */
export function ledgerFits(db: Database.Database, reader: RowReader, ledger: Ledger): boolean {
  for (const kind of KINDS) {
    if (ledger.entities.scannedTo(kind) > lastId(db, reader, kind)) return false;
    for (const { row, keys } of ledger.entities.sample(kind, SAMPLE)) {
      const found = reader.byId(kind, row);
      // A row that was deleted says nothing; one that is another memory now says that this is another file.
      if (found === null) continue;
      const name = nameOf(found.of);
      if (keys.every((key) => ordinalOf(key, kind, found.set, name) === null)) return false;
    }
  }
  return true;
}

/** The largest id that a table ever gave out: it stays when rows are deleted. */
function lastId(db: Database.Database, reader: RowReader, kind: Kind): number {
  const seen = db.prepare('SELECT seq FROM sqlite_sequence WHERE name = ?').get(SHAPES[kind].table) as
    { seq: number } | undefined;
  return Math.max(seen?.seq ?? 0, reader.maxId(kind));
}
