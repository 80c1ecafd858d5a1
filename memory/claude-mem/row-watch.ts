import type Database from 'better-sqlite3';
import { KINDS, SHAPES, type Kind } from '../format/kinds.ts';
import { findRowsOnPages, type PageRows } from './pages.ts';
import { isNextLog, readFormerWalFrames, readWalFrames, readWalPosition, type WalPosition } from './wal.ts';

/** Rows of one kind with a local id above `after` and up to `to`. */
export interface RowRange {
  readonly kind: Kind;
  readonly after: number;
  readonly to: number;
}

/** Rows that may have changed since the last look: some, or any. */
export interface ChangedRows {
  readonly ranges: readonly RowRange[] | 'any';
  /** Where the look ended; to be accepted once these rows were compared. */
  readonly position: WalPosition | null;
}

/** A look stops at more pages than this; then comparing every row costs less memory. */
const MAX_FRAMES = 4_096;

/** All four tables have more columns than this in every release; tables of full-text indexes have fewer. */
const MIN_COLUMNS = 5;

/** How often a look is repeated because another connection writes during it. */
const MAX_TRIES = 3;

/**
 * Finds rows of claude-mem that any program may have changed or deleted since the last look, from the pages
 * that commits wrote to the WAL. When the WAL restarts, it keeps old pages only until they are overwritten. The
 * WAL's index counts commits, so a commit whose pages are gone is noticed. In that case any row may have
 * changed.
 */
export class RowWatch {
  readonly #path: string;
  readonly #db: Database.Database;
  #at: WalPosition | null = null;
  /** Rows that may have changed up to the accepted position and were not compared yet. */
  #pending: readonly RowRange[] | 'any' = [];

  /**
   * @param path the database, without symbolic links;
   * @param db a connection to it that stays open
   */
  constructor(path: string, db: Database.Database) {
    this.#path = path;
    this.#db = db;
  }

  /** Returns rows that may have changed since the last accepted position; any row before the first one. */
  look(): ChangedRows {
    for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
      const position = this.position();
      if (position === null || this.#at === null) return { ranges: 'any', position };
      const images = this.#pagesSince(this.#at, position);
      if (images === 'again') continue;
      const ranges = images === 'lost' ? 'any' : this.#rangesOf(images, position);
      return { ranges: joinRanges(this.#pending, ranges), position };
    }
    return { ranges: 'any', position: null };
  }

  /** Records that every row changed up to a position was compared. */
  accept(position: WalPosition | null): void {
    this.#at = position;
    this.#pending = [];
  }

  /**
   * Ignores the commit that this process has just made, because its rows need no comparison. Earlier commits
   * of others remain for the next look.
   * @param before the WAL position when this process held the write lock and had written nothing
   */
  passOver(before: WalPosition | null): void {
    if (before === null || this.#at === null) return;
    if (before.commits !== this.#at.commits) {
      const images = this.#pagesSince(this.#at, before);
      this.#pending =
        typeof images === 'string' ? 'any' : joinRanges(this.#pending, this.#rangesOf(images, before));
      this.#at = before;
    }
    const now = this.position();
    if (now !== null && now.commits === before.commits + 1) this.#at = now;
  }

  /** Returns the current WAL position; null when it cannot be read. */
  position(): WalPosition | null {
    try {
      return readWalPosition(this.#path);
    } catch {
      // Without a readable WAL every row is compared.
      return null;
    }
  }

  /** Returns the last image of each page written in between. */
  #pagesSince(from: WalPosition, to: WalPosition): Map<number, Buffer> | 'lost' | 'again' {
    const isSame = from.salts === to.salts;
    const begin = isSame ? from.frames : 0;
    if (to.frames < begin || to.frames - begin > MAX_FRAMES) return 'lost';
    try {
      const recent = readWalFrames(this.#path, begin, to);
      if (recent === null) return 'again';
      const former = isNextLog(from, to) ? readFormerWalFrames(this.#path, from, MAX_FRAMES) : [];
      const frames = [...former, ...recent];
      const commits = frames.filter(({ isCommit }) => isCommit).length;
      if (commits !== to.commits - from.commits) return 'lost';
      return new Map(frames.map(({ page, bytes }) => [page, bytes]));
    } catch {
      return 'lost';
    }
  }

  #rangesOf(images: ReadonlyMap<number, Buffer>, { pageSize }: WalPosition): RowRange[] | 'any' {
    if (images.size === 0) return [];
    const isAutoVacuum = this.#db.pragma('auto_vacuum', { simple: true }) !== 0;
    const { rows, empty, unknown } = findRowsOnPages(images, pageSize, isAutoVacuum);
    if (unknown.length > 0) return 'any';
    if (empty.length > 0 && this.#roots().some((root) => empty.includes(root))) return 'any';
    return KINDS.flatMap((kind) => this.#rangesIn(kind, rows));
  }

  /** Returns the root pages of the four tables. */
  #roots(): number[] {
    const tables = JSON.stringify(KINDS.map((kind) => SHAPES[kind].table));
    return this.#db
      .prepare(
        `SELECT rootpage FROM main.sqlite_master WHERE type = 'table' AND name IN (SELECT value FROM json_each(?))`,
      )
      .pluck()
      .all(tables) as number[];
  }

  /**
   * Returns, for each page, the range from the row before its first to the row after its last. The range
   * includes the neighbors because a deleted row was between them.
   */
  #rangesIn(kind: Kind, pages: readonly PageRows[]): RowRange[] {
    const { table } = SHAPES[kind];
    const columns = (this.#db.pragma(`main.table_info(${table})`) as unknown[]).length;
    const candidates = pages
      .filter((page) => page.columns > MIN_COLUMNS && page.columns <= columns)
      .sort((a, b) => a.first - b.first);
    const before = this.#db.prepare(`SELECT max(id) FROM main.${table} WHERE id < ?`).pluck();
    const behind = this.#db.prepare(`SELECT min(id) FROM main.${table} WHERE id > ?`).pluck();
    const ranges: { kind: Kind; after: number; to: number }[] = [];
    for (const { first, last } of candidates) {
      const after = (before.get(first) as number | null) ?? 0;
      const to = (behind.get(last) as number | null) ?? Number.MAX_SAFE_INTEGER;
      const previous = ranges.at(-1);
      if (previous !== undefined && after <= previous.to) previous.to = Math.max(previous.to, to);
      else ranges.push({ kind, after, to });
    }
    return ranges;
  }
}

const joinRanges = (
  a: readonly RowRange[] | 'any',
  b: readonly RowRange[] | 'any',
): readonly RowRange[] | 'any' => (a === 'any' || b === 'any' ? 'any' : [...a, ...b]);
