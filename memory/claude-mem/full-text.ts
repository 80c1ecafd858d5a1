import Database from 'better-sqlite3';
import { errorMessage } from '../../contract/errors.ts';

/** claude-mem's full-text indexes, each with its content table. */
const FULL_TEXTS: Readonly<Record<string, string>> = {
  observations_fts: 'observations',
  session_summaries_fts: 'session_summaries',
  user_prompts_fts: 'user_prompts',
};

/** Suffixes of the shadow tables in which FTS5 stores an index. */
const SHADOW_SUFFIXES = ['data', 'idx', 'docsize', 'config'] as const;

/**
 * Up to this many rows, SQLite's own check of an index takes less than two seconds and is part of every look.
 */
const CHECK_ROWS = 20_000;

/** Rows whose words are looked up in an index. */
const SAMPLED_ROWS = 40;

/** A word that FTS5's default tokenizer turns into exactly one token. */
const SINGLE_TOKEN = /(?:^|[\s.,:;()"'-])([A-Za-z0-9]{3,40})(?=$|[\s.,:;()"'-])/;

/** A full-text index with something wrong. */
export interface FullTextProblem {
  readonly index: string;
  /** The problem, as a sentence without its final period. */
  readonly problem: string;
  /**
   * `rebuild`: FTS5's own statement repairs it. `recreate`: shadow tables are missing. Null: the index itself
   * is missing.
   */
  readonly mend: 'rebuild' | 'recreate' | null;
}

/**
 * Checks claude-mem's full-text indexes without writing. A database without full-text search has none, which
 * is not a problem.
 * @param options.thorough let SQLite check indexes of any size (about 10 s for 100,000 rows); otherwise only
 * up to 20,000 rows
 * @throws SqliteError when the database cannot be read
 */
export function findFullTextProblems(
  db: Database.Database,
  options: { thorough: boolean },
): FullTextProblem[] {
  const problems: FullTextProblem[] = [];
  for (const [index, content] of Object.entries(FULL_TEXTS)) {
    const names = namesLike(db, index);
    if (!names.has(content)) continue;
    if (!names.has(index)) {
      if (!isFilledByTriggers(db, index)) continue;
      const problem = `the index is missing while triggers of ${content} still write to it, so that no row can be saved`;
      problems.push({ index, problem, mend: null });
      continue;
    }
    const lost = SHADOW_SUFFIXES.map((name) => `${index}_${name}`).filter((name) => !names.has(name));
    if (lost.length > 0) {
      problems.push({ index, problem: `its table ${lost.join(' and ')} is missing`, mend: 'recreate' });
      continue;
    }
    const problem = withMeaning(() => examine(db, index, content, options.thorough));
    const isOpen = problem === null || withMeaning(() => void columnsOf(db, index)) === null;
    if (problem !== null) problems.push({ index, problem, mend: isOpen ? 'rebuild' : 'recreate' });
  }
  return problems;
}

/** Returns the finding of `look`, or SQLite's error message for an index that it cannot read. */
function withMeaning(look: () => string | null | undefined): string | null {
  try {
    return look() ?? null;
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !/^SQLITE_(CORRUPT|ERROR)/.test(error.code)) throw error;
    return errorMessage(error);
  }
}

function examine(db: Database.Database, index: string, content: string, thorough: boolean): string | null {
  const rows = count(db, `main.${content}`);
  const indexed = count(db, `main.${index}_docsize`);
  const record = db.prepare(`SELECT block FROM main.${index}_data WHERE id = ?`).pluck();
  const averages = record.get(1) as Buffer | undefined;
  if (averages === undefined) return 'its record 1 is missing';
  const structure = record.get(10) as Buffer | undefined;
  if (structure === undefined) return 'its record 10 is missing';
  const segments = count(db, `(SELECT DISTINCT segid FROM main.${index}_idx)`);
  const named = countSegments(structure);
  // FTS5 would reuse the number of an existing segment, and could then save no row.
  if (named < BigInt(segments)) return `its record 10 names ${named} segments where there are ${segments}`;
  const [counted = 0n] = readVarints(averages, 0, 1);
  const missing = count(db, `main.${content} WHERE id NOT IN (SELECT id FROM main.${index}_docsize)`);
  if (missing > 0) return `${missing} of ${rows} rows are not in it`;
  const ghosts = count(db, `main.${index}_docsize WHERE id NOT IN (SELECT id FROM main.${content})`);
  if (ghosts > 0) return `it holds ${ghosts} rows that are no longer there`;
  if (counted !== BigInt(indexed)) return `its record 1 counts ${counted} rows where there are ${indexed}`;
  const unfound = rows === 0 ? { rows: 0, of: 0 } : countUnfound(db, index, content);
  if (unfound.rows > 0)
    return `${unfound.rows} of ${unfound.of} rows that were looked for are not found by their own words`;
  if (!thorough && rows > CHECK_ROWS) return null;
  const found = (db.pragma(`main.integrity_check(${index})`) as { integrity_check: string }[])[0]
    ?.integrity_check;
  return found === 'ok' || found === undefined ? null : found;
}

/** Looks up sampled rows of the table by a word of each. */
function countUnfound(db: Database.Database, index: string, content: string): { rows: number; of: number } {
  const definition = db
    .prepare(`SELECT sql FROM main.sqlite_master WHERE name = ?`)
    .pluck()
    .get(index) as string;
  // Another tokenizer splits words differently.
  if (/tokenize/i.test(definition)) return { rows: 0, of: 0 };
  const columns = columnsOf(db, index);
  const [first, last] = db.prepare(`SELECT min(id), max(id) FROM main.${content}`).raw().get() as [
    number,
    number,
  ];
  const row = db
    .prepare(`SELECT id, ${columns.join(', ')} FROM main.${content} WHERE id >= ? ORDER BY id LIMIT 1`)
    .raw();
  const match = db.prepare(`SELECT 1 FROM main.${index} WHERE ${index} MATCH ? AND rowid = ?`);
  const seen = new Set<number>();
  let unfound = 0;
  let looked = 0;
  for (let n = 0; n < SAMPLED_ROWS; n += 1) {
    const [id, ...texts] = row.get(first + Math.floor(((last - first) * n) / (SAMPLED_ROWS - 1))) as [
      number,
      ...unknown[],
    ];
    if (seen.has(id)) continue;
    seen.add(id);
    const text = texts.find(
      (value) => typeof value === 'string' && !value.includes('\0') && SINGLE_TOKEN.test(value),
    );
    const word = SINGLE_TOKEN.exec((text ?? '') as string)?.[1];
    if (word === undefined) continue;
    looked += 1;
    if (match.get(`"${word}"`, id) === undefined) unfound += 1;
  }
  return { rows: unfound, of: looked };
}

/**
 * Returns the columns of an index.
 * @throws SqliteError when SQLite cannot open it
 */
export function columnsOf(db: Database.Database, index: string): string[] {
  return (db.pragma(`main.table_info(${index})`) as { name: string }[]).map(({ name }) => `"${name}"`);
}

/** Returns the content table of an index. */
export function contentOf(index: string): string | null {
  return FULL_TEXTS[index] ?? null;
}

function namesLike(db: Database.Database, index: string): Set<string> {
  const content = FULL_TEXTS[index] ?? '';
  const names = [content, index, ...SHADOW_SUFFIXES.map((name) => `${index}_${name}`)];
  const marks = names.map(() => '?').join(', ');
  const found = db.prepare(`SELECT name FROM main.sqlite_master WHERE type = 'table' AND name IN (${marks})`);
  return new Set(found.pluck().all(...names) as string[]);
}

function isFilledByTriggers(db: Database.Database, index: string): boolean {
  const trigger = db.prepare(`SELECT 1 FROM main.sqlite_master WHERE type = 'trigger' AND sql LIKE ?`);
  return trigger.get(`%INTO ${index}(%`) !== undefined;
}

const count = (db: Database.Database, from: string): number =>
  db.prepare(`SELECT count(*) FROM ${from}`).pluck().get() as number;

/** Precedes the list of levels when FTS5 writes the newer form of the structure record. */
const NEWER_STRUCTURE = Buffer.from([0xff, 0, 0, 1]);

/**
 * Returns how many segments FTS5's structure record names. After a 4-byte cookie it stores the numbers of
 * levels and of segments.
 */
function countSegments(structure: Buffer): bigint {
  const begin = structure.subarray(4, 8).equals(NEWER_STRUCTURE) ? 8 : 4;
  return readVarints(structure, begin, 2)[1] ?? 0n;
}

/**
 * Reads numbers of a record: SQLite's varints, seven bits per byte, at most nine bytes; fewer when the record
 * ends early.
 */
function readVarints(record: Buffer, at: number, most: number): bigint[] {
  const values: bigint[] = [];
  let value = 0n;
  let bytes = 0;
  for (const byte of record.subarray(at)) {
    value = (value << 7n) | BigInt(byte & 0x7f);
    bytes += 1;
    if (byte >= 0x80 && bytes < 9) continue;
    values.push(value);
    if (values.length === most) break;
    value = 0n;
    bytes = 0;
  }
  return values;
}
