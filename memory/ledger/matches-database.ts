import type Database from 'better-sqlite3';
import type { Changes } from '../detect/changes.ts';
import type { RowReader } from '../claude-mem/read.ts';
import { KINDS, SHAPES, UNITS, type Kind } from '../format/kinds.ts';
import { compareMarks, likenessOf, isSameLink } from '../detect/marks.ts';
import type { Ledger } from './ledger.ts';
import type { SeenRow } from './marks.ts';

/** Rows of each kind that vote, spread over all local ids. */
const SAMPLED_ROWS = 64;

/**
 * Rows of each kind that are checked after every commit. The others vote only if one of these holds another
 * memory now.
 */
const QUICK_CHECK_ROWS = 2;

/** The part of a session's mark that records its start. */
const STARTED_AT_UNIT = UNITS.session.findIndex(({ name }) => name === 'started_at');

/** Marks read per query when looking for surviving rows. */
const PAGE_MARKS = 1_000;

/** The ledger and the database to compare. */
export interface FitContext {
  readonly db: Database.Database;
  readonly reader: RowReader;
  readonly ledger: Ledger;
  readonly changes: Changes;
}

/** How many rows are evidence for this database, and how many against it. */
interface Votes {
  same: number;
  other: number;
}

/** A row's evidence: none when it is gone, or when every database has a row of its name. */
type Opinion = 'same' | 'edited' | 'other' | 'none';

/**
 * Returns whether a ledger belongs to this very database. A restored, replaced or overwritten file must not
 * be read with another file's ledger. A file in which a person edited rows must be, or the fleet would send
 * the old rows back.
 *
 * Ids that went back prove an older state. So does a newest row that holds another memory now: SQLite never
 * reuses an id, so writes continued from an older state. Otherwise rows vote; a row counts as the same if its
 * text or its creation time is unchanged. A file that replaced another needs a majority for it. A file that
 * stayed in place is given up only when the majority is against it.
 * @param depth `running`: a few rows first, because this runs after every commit
 * @param isAnotherFile whether the ledger was last used with another file: this one is a copy, or started
 * empty
 */
export function matchesDatabase(
  context: FitContext,
  depth: 'opened' | 'running',
  isAnotherFile: boolean,
): boolean {
  const { db, reader, ledger } = context;
  // Deleted rows do not count: an upgrade of claude-mem copies the remaining rows, and then reuses the ids of
  // deleted ones.
  if (KINDS.some((kind) => ledger.marks.highest(kind) > lastId(db, reader, kind))) return false;
  if (KINDS.some((kind) => newestOpinion(context, kind) === 'other')) return false;
  if (!isAnotherFile) {
    if (depth === 'running' && poll(context, QUICK_CHECK_ROWS).other === 0) return true;
    const { same, other } = poll(context, SAMPLED_ROWS);
    return other <= same;
  }
  const votes = poll(context, SAMPLED_ROWS);
  if (votes.same + votes.other === 0) findSurvivors(context, votes);
  if (votes.same + votes.other > 0) return votes.same > votes.other;
  // None of the ledger's rows exists here: the ledger fits only if it knows none.
  return KINDS.every((kind) => ledger.marks.highest(kind) === 0);
}

function poll(context: FitContext, voters: number): Votes {
  const votes: Votes = { same: 0, other: 0 };
  for (const kind of KINDS) {
    for (const seen of context.ledger.marks.sample(kind, voters)) vote(context, kind, seen, votes);
  }
  return votes;
}

/** Asks all rows that the ledger knows, because every sampled one is gone. */
function findSurvivors(context: FitContext, votes: Votes): void {
  const { marks } = context.ledger;
  for (const kind of KINDS) {
    const highest = marks.highest(kind);
    for (let from = 0; from < highest; from += PAGE_MARKS) {
      for (const seen of marks.readRange(kind, from, from + PAGE_MARKS)) vote(context, kind, seen, votes);
      if (votes.same + votes.other >= SAMPLED_ROWS) return;
    }
  }
}

function vote(context: FitContext, kind: Kind, seen: SeenRow, votes: Votes): void {
  const opinion = opinionOf(context, kind, seen);
  if (opinion === 'same' || opinion === 'edited') votes.same += 1;
  if (opinion === 'other') votes.other += 1;
}

/** Returns the evidence of the newest existing row that the ledger knows. */
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
    const isSameStart = !units.includes(STARTED_AT_UNIT);
    // A session is known by its name alone, and manual sessions have the same names in every database.
    if (moved === isSameStart) return 'none';
    return moved ? 'other' : 'same';
  }
  if (!moved) return 'same';
  const [before, after] = [likenessOf(kind, mark), likenessOf(kind, now)];
  if (before === null || after === null) return isSameLink(kind, mark, now) ? 'none' : 'other';
  const isSameBirth = before.birth === after.birth;
  const isSameText =
    before.head === after.head && before.body === after.body && before.head + before.body > 0;
  return isSameBirth || isSameText ? 'edited' : 'other';
}

/** Returns the largest id that a table ever assigned; it stays when rows are deleted. */
function lastId(db: Database.Database, reader: RowReader, kind: Kind): number {
  const seen = db.prepare('SELECT seq FROM sqlite_sequence WHERE name = ?').get(SHAPES[kind].table) as
    { seq: number } | undefined;
  return Math.max(seen?.seq ?? 0, reader.maxId(kind));
}
