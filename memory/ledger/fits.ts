import type Database from 'better-sqlite3';
import type { Changes } from '../detect/changes.ts';
import type { RowReader } from '../claude-mem/read.ts';
import { KINDS, SHAPES, UNITS, type Kind } from '../format/kinds.ts';
import { compareMarks, likenessOf, sameLink } from '../detect/marks.ts';
import type { Ledger } from './ledger.ts';
import type { SeenRow } from './marks.ts';

/** Rows of each kind that vote, spread over all local ids. */
const VOTERS = 64;

/** Rows of each kind that are looked at after every commit: the others vote only if one of these is another memory now. */
const SCOUTS = 2;

/** The part of a session's mark that says when it began. */
const BEGINNING = UNITS.session.findIndex(({ name }) => name === 'started_at');

/** Marks that are read at a time when surviving rows are looked for. */
const PAGE = 1_000;

/** What a ledger is compared with. */
export interface FitContext {
  readonly db: Database.Database;
  readonly reader: RowReader;
  readonly ledger: Ledger;
  readonly changes: Changes;
}

/** How many rows say that this is the database that the ledger was made of, and how many that it is not. */
interface Votes {
  same: number;
  other: number;
}

/** What a row says of its database: nothing when it is gone, or when its name is the same in every database. */
type Opinion = 'same' | 'edited' | 'other' | 'none';

/**
 * Whether a ledger was made of this very database. A restored, replaced or copied-over file must not be read with another
 * one's ledger; a file in which a person edited rows must be, or the rows as they were come back from the fleet.
 *
 * Ids that went back say that it is an older state. So does a newest row that is another memory now: SQLite gives no id
 * twice, so the older state was written on. Otherwise rows vote: one is the same where its text is, or where it was created at
 * the same time. A file that took the place of the one before must have a majority of its rows for it; one that is still the
 * same file is only given up where the majority is against it.
 * @param depth `running`: a few rows first, since this runs after every commit
 * @param isAnotherFile whether the file is not the one that the ledger was last used with: a copy of that one, or begun from
 *   nothing
 */
export function ledgerFits(
  context: FitContext,
  depth: 'opened' | 'running',
  isAnotherFile: boolean,
): boolean {
  const { db, reader, ledger } = context;
  // Deleted rows do not count: an upgrade of claude-mem copies the rows that are left, and then gives the ids of deleted ones again.
  if (KINDS.some((kind) => ledger.marks.highest(kind) > lastId(db, reader, kind))) return false;
  if (KINDS.some((kind) => newestOpinion(context, kind) === 'other')) return false;
  if (!isAnotherFile) {
    if (depth === 'running' && poll(context, SCOUTS).other === 0) return true;
    const { same, other } = poll(context, VOTERS);
    return other <= same;
  }
  const votes = poll(context, VOTERS);
  if (votes.same + votes.other === 0) findSurvivors(context, votes);
  if (votes.same + votes.other > 0) return votes.same > votes.other;
  // No row that the ledger knows is there: it is nobody's database unless the ledger knows none.
  return KINDS.every((kind) => ledger.marks.highest(kind) === 0);
}

function poll(context: FitContext, voters: number): Votes {
  const votes: Votes = { same: 0, other: 0 };
  for (const kind of KINDS) {
    for (const seen of context.ledger.marks.sample(kind, voters)) vote(context, kind, seen, votes);
  }
  return votes;
}

/** Asks all rows that the ledger knows, where every one of the sample is gone. */
function findSurvivors(context: FitContext, votes: Votes): void {
  const { marks } = context.ledger;
  for (const kind of KINDS) {
    const highest = marks.highest(kind);
    for (let from = 0; from < highest; from += PAGE) {
      for (const seen of marks.range(kind, from, from + PAGE)) vote(context, kind, seen, votes);
      if (votes.same + votes.other >= VOTERS) return;
    }
  }
}

function vote(context: FitContext, kind: Kind, seen: SeenRow, votes: Votes): void {
  const opinion = opinionOf(context, kind, seen);
  if (opinion === 'same' || opinion === 'edited') votes.same += 1;
  if (opinion === 'other') votes.other += 1;
}

/** What the newest row says that the ledger knows and that is still there. */
function newestOpinion(context: FitContext, kind: Kind): Opinion {
  const { ledger, reader } = context;
  const row = reader.maxIdUpTo(kind, ledger.marks.highest(kind));
  const mark = ledger.marks.get(kind, row);
  return mark === null ? 'none' : opinionOf(context, kind, { row, mark });
}

function opinionOf({ reader, changes }: FitContext, kind: Kind, { row, mark }: SeenRow): Opinion {
  const found = reader.byId(kind, row);
  if (found === null) return 'none';
  const now = changes.markOf(found);
  const { moved, units } = compareMarks(kind, mark, now);
  if (kind === 'session') {
    const sameBeginning = !units.includes(BEGINNING);
    // What a session is known by is its name alone, and those of manual ones are the same in every database.
    if (moved === sameBeginning) return 'none';
    return moved ? 'other' : 'same';
  }
  if (!moved) return 'same';
  const [before, after] = [likenessOf(kind, mark), likenessOf(kind, now)];
  if (before === null || after === null) return sameLink(kind, mark, now) ? 'none' : 'other';
  const sameBirth = before.birth === after.birth;
  const sameText = before.head === after.head && before.body === after.body && before.head + before.body > 0;
  return sameBirth || sameText ? 'edited' : 'other';
}

/** The largest id that a table ever gave out: it stays when rows are deleted. */
function lastId(db: Database.Database, reader: RowReader, kind: Kind): number {
  const seen = db.prepare('SELECT seq FROM sqlite_sequence WHERE name = ?').get(SHAPES[kind].table) as
    { seq: number } | undefined;
  return Math.max(seen?.seq ?? 0, reader.maxId(kind));
}
