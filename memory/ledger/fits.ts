import type Database from 'better-sqlite3';
import type { Changes } from '../changes.ts';
import type { RowReader } from '../claude-mem/read.ts';
import { KINDS, SHAPES, UNITS, type Kind } from '../kinds.ts';
import { compareMarks } from '../marks.ts';
import type { Ledger } from './ledger.ts';

/** Rows of each kind that are compared: so many of the newest, and of the oldest. */
const SAMPLE = { opened: 3, running: 1 };

/** The part of a session's mark that says when it began. */
const BEGINNING = UNITS.session.findIndex(({ name }) => name === 'started_at');

/** Marks that are read at a time when a surviving row is looked for. */
const PAGE = 1_000;

/**
 * Whether a ledger was made of this very database: its ids never went back, and a sample of rows are still the memories
 * that the ledger says. A restored, replaced or copied-over file must not be read with another one's ledger.
 * @param isAnotherFile whether the file is not the one that the ledger was last used with. It may be a copy of that one, or begun
 *   anew: then a sample of which every row is gone says nothing, and the first row that is still there decides
 */
export function ledgerFits(
  db: Database.Database,
  reader: RowReader,
  ledger: Ledger,
  changes: Changes,
  depth: keyof typeof SAMPLE,
  isAnotherFile: boolean,
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
  return !isAnotherFile || hasSurvivor(reader, ledger, changes);
}

/**
 * Whether some row that the ledger knows is still there and the same memory; true where the ledger knows none. A session of
 * the same name that began at another time says nothing: that may be another database's.
 */
function hasSurvivor(reader: RowReader, ledger: Ledger, changes: Changes): boolean {
  let known = 0;
  for (const kind of KINDS) {
    const highest = ledger.marks.highest(kind);
    known += highest;
    for (let from = 0; from < highest; from += PAGE) {
      for (const { row, mark } of ledger.marks.range(kind, from, from + PAGE)) {
        const found = reader.byId(kind, row);
        if (found === null) continue;
        const { moved, units } = compareMarks(kind, mark, changes.markOf(found));
        if (moved) return false;
        // What a session is known by is its name alone, and those of manual ones are the same in every database.
        if (kind !== 'session' || !units.includes(BEGINNING)) return true;
      }
    }
  }
  return known === 0;
}

/** The largest id that a table ever gave out: it stays when rows are deleted. */
function lastId(db: Database.Database, reader: RowReader, kind: Kind): number {
  const seen = db.prepare('SELECT seq FROM sqlite_sequence WHERE name = ?').get(SHAPES[kind].table) as
    { seq: number } | undefined;
  return Math.max(seen?.seq ?? 0, reader.maxId(kind));
}
