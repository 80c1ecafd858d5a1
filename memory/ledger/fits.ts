import type Database from 'better-sqlite3';
import { nameOf, type RowReader } from '../claude-mem/read.ts';
import { KINDS, SHAPES, type Kind } from '../kinds.ts';
import { memoryKey } from '../keys.ts';
import type { Ledger } from './ledger.ts';

/** Rows of each kind that are compared: the newest and the oldest few. */
const SAMPLE = 3;

/** Ordinals tried for a sampled row. */
const MAX_ORDINAL = 8;

/**
 * Whether a ledger was made of this very database: its ids never went back, and a sample of rows are still the memories
 * that the ledger says. A restored, replaced or copied-over file must not be read with another one's ledger.
 */
export function ledgerFits(db: Database.Database, reader: RowReader, ledger: Ledger): boolean {
  let compared = 0;
  let fitting = 0;
  for (const kind of KINDS) {
    if (ledger.entities.scannedTo(kind) > lastId(db, reader, kind)) return false;
    for (const { key, row } of ledger.entities.sample(kind, SAMPLE)) {
      compared += 1;
      const found = reader.byId(kind, row);
      if (found === null) continue;
      const keys = Array.from({ length: MAX_ORDINAL + 1 }, (_, n) =>
        memoryKey(kind, found.set, nameOf(found.of), n),
      );
      if (keys.some((candidate) => candidate.equals(key))) fitting += 1;
    }
  }
  // Single rows may have been deleted or renamed; a majority that does not fit is another file.
  return compared === 0 || fitting * 2 >= compared;
}

/** The largest id that a table ever gave out: it stays when rows are deleted. */
function lastId(db: Database.Database, reader: RowReader, kind: Kind): number {
  const seen = db.prepare('SELECT seq FROM sqlite_sequence WHERE name = ?').get(SHAPES[kind].table) as
    { seq: number } | undefined;
  return Math.max(seen?.seq ?? 0, reader.maxId(kind));
}
