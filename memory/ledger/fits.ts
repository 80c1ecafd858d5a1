import type Database from 'better-sqlite3';
import type { Changes } from '../changes.ts';
import type { RowReader } from '../claude-mem/read.ts';
import { KINDS, SHAPES, type Kind } from '../kinds.ts';
import { compareMarks } from '../marks.ts';
import type { Ledger } from './ledger.ts';

/** Rows of each kind that are compared: so many of the newest, and of the oldest. */
const SAMPLE = { opened: 3, running: 1 };

/**
 * Whether a ledger was made of this very database: its ids never went back, and a sample of rows are still the memories
 * that the ledger says. A restored, replaced or copied-over file must not be read with another one's ledger.
 */
export function ledgerFits(
  db: Database.Database,
  reader: RowReader,
  ledger: Ledger,
  changes: Changes,
  depth: keyof typeof SAMPLE,
): boolean {
  for (const kind of KINDS) {
    const sample = ledger.marks.sample(kind, SAMPLE[depth]);
    if (ledger.highestRow(kind) > lastId(db, reader, kind)) return false;
    for (const { row, mark } of sample) {
      const found = reader.byId(kind, row);
      // A row that was deleted says nothing; one that is another memory now says that this is another file.
      if (found !== null && compareMarks(kind, mark, changes.markOf(found)).moved) return false;
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
