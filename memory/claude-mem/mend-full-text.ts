import Database from 'better-sqlite3';
import { columnsOf, contentOf, findFullTextProblems, type FullTextProblem } from './full-text.ts';
import type { Holder } from './holders.ts';
import { guarded } from './open.ts';

/** claude-mem's worker waits this long for the lock, then loses what it could not save (milliseconds). */
const WORKER_WAITS_MS = 5_000;

/** A rebuild may take this long while another program uses the database (milliseconds). */
const MAX_LOCK_MS = WORKER_WAITS_MS / 2;

/** Rows that are indexed separately to measure this machine's speed. */
const PROBED_ROWS = 1_000;

/**
 * A large index on disk takes this many times longer per row than the probe in memory (measured: 3.2 for
 * 115,000 rows).
 */
const DISK_FACTOR = 4;

/** The result of a repair. */
export interface Mended {
  readonly index: string;
  readonly done: boolean;
  readonly detail: string;
}

/**
 * Repairs a full-text index in one transaction: FTS5 rebuilds it from the rows, which stay untouched.
 * @param holders programs that use the database now: if there are any, a rebuild that would hold the lock too
 * long is refused
 * @param maxLockMs how long is too long, in milliseconds; tests set a value that any machine exceeds
 * @throws MembridgeError memory_locked, memory_corrupt; the index is then unchanged
 */
export function mendFullText(
  path: string,
  { index, mend }: FullTextProblem,
  holders: readonly Holder[],
  maxLockMs = MAX_LOCK_MS,
): Mended {
  const content = contentOf(index);
  if (mend === null || content === null) {
    return { index, done: false, detail: `${index} cannot be mended from here; see "membridge doctor"` };
  }
  return guarded(path, () => {
    const db = new Database(path, { fileMustExist: true, timeout: WORKER_WAITS_MS });
    try {
      const expected = estimateMs(db, index, content);
      const [holder] = holders;
      if (holder !== undefined && expected > maxLockMs) {
        const seconds = Math.ceil(expected / 1_000);
        const detail = `${index} was left as it is: mending it takes about ${seconds} s, and process ${holder.pid}, which ${holder.why}, waits at most ${WORKER_WAITS_MS / 1_000} s for the lock and would lose what it saves. End Claude Code, stop claude-mem's worker, and run "membridge doctor --fix" again`;
        return { index, done: false, detail };
      }
      const began = performance.now();
      // SQLite lets only FTS5 write an index's shadow tables; unsafe mode is for creating a missing one.
      if (mend === 'recreate') db.unsafeMode(true);
      db.transaction(() => (mend === 'recreate' ? recreate(db, index) : rebuild(db, index))).immediate();
      const took = ((performance.now() - began) / 1_000).toFixed(1);
      const left = findFullTextProblems(db, { thorough: true }).find((problem) => problem.index === index);
      if (left !== undefined)
        return { index, done: false, detail: `${index} was rebuilt, and still: ${left.problem}` };
      return {
        index,
        done: true,
        detail: `${index} was made again from the rows of ${content} in ${took} s`,
      };
    } finally {
      db.close();
    }
  });
}

function rebuild(db: Database.Database, index: string): void {
  db.prepare(`INSERT INTO ${index}(${index}) VALUES ('rebuild')`).run();
}

/** Recreates an index from claude-mem's own definition, which is still in the file; its triggers stay. */
function recreate(db: Database.Database, index: string): void {
  const definition = db.prepare('SELECT sql FROM sqlite_master WHERE name = ?').pluck().get(index) as string;
  // Without the format version SQLite cannot open an index, not even to drop it.
  db.exec(`CREATE TABLE IF NOT EXISTS ${index}_config(k PRIMARY KEY, v) WITHOUT ROWID`);
  db.exec(`INSERT OR IGNORE INTO ${index}_config VALUES ('version', 4)`);
  db.exec(`DROP TABLE ${index}`);
  db.exec(definition);
  rebuild(db, index);
}

/** Estimates how long rebuilding an index takes here, in milliseconds. */
function estimateMs(db: Database.Database, index: string, content: string): number {
  const rows = db.prepare(`SELECT count(*) FROM ${content}`).pluck().get() as number;
  if (rows === 0) return 0;
  const columns = indexedColumns(db, index);
  const probed = Math.min(rows, PROBED_ROWS);
  const estimate = (): number => (probeMs(db, content, columns) / probed) * rows * DISK_FACTOR;
  const first = estimate();
  // Measure twice: a machine may just be busy for a moment.
  return first > MAX_LOCK_MS ? Math.min(first, estimate()) : first;
}

/** Measures how long it takes to index some rows in memory, in milliseconds. */
function probeMs(db: Database.Database, content: string, columns: string): number {
  db.pragma('temp_store = MEMORY');
  db.exec(`CREATE VIRTUAL TABLE temp.membridge_probe USING fts5(${columns})`);
  try {
    const began = performance.now();
    db.exec(
      `INSERT INTO temp.membridge_probe SELECT ${columns} FROM main.${content} ORDER BY id DESC LIMIT ${PROBED_ROWS}`,
    );
    return performance.now() - began;
  } finally {
    db.exec('DROP TABLE temp.membridge_probe');
  }
}

/** Returns an index's columns; from its definition when SQLite cannot open it. */
function indexedColumns(db: Database.Database, index: string): string {
  try {
    return columnsOf(db, index).join(', ');
  } catch {
    const definition = db
      .prepare('SELECT sql FROM sqlite_master WHERE name = ?')
      .pluck()
      .get(index) as string;
    const [, inside = ''] = /fts5\s*\(([^]*)\)/i.exec(definition) ?? [];
    return inside
      .split(',')
      .filter((part) => !part.includes('='))
      .map((part) => part.trim())
      .join(', ');
  }
}
