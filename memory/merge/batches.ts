import type Database from 'better-sqlite3';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { openForMerging, requireSameFile } from '../claude-mem/open.ts';
import { RowReader } from '../claude-mem/read.ts';
import type { WalPosition } from '../claude-mem/wal.ts';
import type { LedgerSpace } from '../ledger/spaces.ts';
import { Pace } from './pace.ts';
import type { SyncSession } from '../session.ts';
import { Merger } from './merger.ts';
import { Newcomers } from './newcomers.ts';
import type { Outcome } from './merge-context.ts';

/** Items that are read at once, as the operations of one segment, and merged in order. */
export interface Stretch<T> {
  readonly items: readonly T[];
  /** Files how many of the items are merged. Runs in the ledger's transaction. */
  filed?(done: number): void;
  /** Files that all of them are merged. Runs in the ledger's transaction. */
  end?(): void;
}

/** Items that are read already. */
export const readAlready = <T>(items: readonly T[]): Stretch<T>[] => (items.length === 0 ? [] : [{ items }]);

/** Hears after each commit what became of each item, and how many rows claude-mem refused, so that they wait. */
export type Merged = (outcomes: readonly Outcome[], refused: number) => void;

/** A stretch, and how many of its items are merged. */
interface Course<T> {
  readonly stretch: Stretch<T>;
  done: number;
}

/** Pages in the log after which SQLite writes them into the database: its default, and while nobody else uses the database. */
const CHECKPOINT_PAGES = 1_000;
const CHECKPOINT_PAGES_ALONE = 4_000;

/** Merges items one by one, in transactions on both files as long, and with such pauses, as pace.ts says. */
export class MergeBatches {
  readonly #session: SyncSession;
  readonly #db: Database.Database;
  readonly #merger: Merger;
  readonly #pace: Pace;
  readonly #newcomers: Newcomers;
  #checkpointPages = CHECKPOINT_PAGES;
  #hasFailed = false;

  /** Opens a connection that may write; `close` ends it. @throws MembridgeError memory_* */
  constructor(session: SyncSession, config: SpaceConfig, space: LedgerSpace) {
    this.#session = session;
    this.#db = openForMerging(session.path, session.inode);
    this.#merger = new Merger({ ...session, db: this.#db, space, config, node: session.identity.node });
    this.#pace = new Pace(session.path, this.#db);
    const reader = new RowReader(this.#db, session.schema);
    this.#newcomers = new Newcomers(reader, session.ledger, session.changes);
  }

  /**
   * Merges items in transactions of both files.
   * @param stretches read one after another: between two transactions while others use the database. While nobody does, one
   *   transaction merges several stretches, because each commit writes again the index pages that the one before it wrote.
   * @param work merges one item
   * @throws SqliteError of either file: the engine gives it its meaning, which may need a look at the database (search-index.ts).
   *   What was merged before stays.
   */
  async run<T>(
    stretches: Iterable<Stretch<T>>,
    work: (merger: Merger, item: T) => Outcome,
    merged: Merged,
  ): Promise<void> {
    const reading = stretches[Symbol.iterator]();
    const read = (): Course<T> | null => {
      const next = reading.next();
      return next.done === true ? null : { stretch: next.value, done: 0 };
    };
    try {
      for (let course = read(); course !== null;) {
        this.#session.signal.throwIfAborted();
        const { rest, held } = this.#merge(course, read, work, merged);
        course = rest ?? read();
        if (course !== null) await this.#pace.pause(held);
      }
    } catch (error) {
      this.#hasFailed = true;
      throw error;
    }
  }

  /** Whether a run was cut off. The merger still holds rows that it did not insert, so it must not be used again. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /**
   * Merges as much as one transaction may.
   * @returns the stretch that it left unfinished, null for none, and how long it held claude-mem's lock, in milliseconds
   */
  #merge<T>(
    first: Course<T>,
    read: () => Course<T> | null,
    work: (merger: Merger, item: T) => Outcome,
    merged: Merged,
  ): { rest: Course<T> | null; held: number } {
    const { session, merger } = { session: this.#session, merger: this.#merger };
    const hold = this.#pace.hold(first.stretch.items.length - first.done);
    const { isAlone } = this.#pace;
    this.#checkpointEvery(isAlone ? CHECKPOINT_PAGES_ALONE : CHECKPOINT_PAGES);
    let held = 0;
    let refused = 0;
    const outcomes: Outcome[] = [];
    let before: WalPosition | null = null;
    let course: Course<T> | null = first;
    session.ledger.atomically(() => {
      const began = performance.now();
      const isOver = (): boolean => performance.now() - began + merger.flushMs >= hold;
      const batch = this.#db.transaction(() => {
        before = session.watch.position();
        merger.begin();
        this.#newcomers.name();
        for (let present: Course<T> | null = first; present !== null; present = course) {
          for (const item of present.stretch.items.slice(present.done)) {
            outcomes.push(work(merger, item));
            present.done += 1;
            if (isOver()) break;
          }
          refused += merger.flush();
          if (present.done < present.stretch.items.length) break;
          present.stretch.end?.();
          course = isAlone && !isOver() ? read() : null;
        }
        this.#newcomers.pass();
      });
      batch.immediate();
      held = performance.now() - began;
      course?.stretch.filed?.(course.done);
    });
    session.watch.passOver(before);
    merged(outcomes, refused);
    return { rest: course, held };
  }

  close(): void {
    try {
      // Who uses the database next finds the log no longer than usual.
      if (this.#checkpointPages !== CHECKPOINT_PAGES) this.#db.pragma('wal_checkpoint(PASSIVE)');
    } catch {
      // The merged rows are safe in the log. Whoever commits next writes them into the database.
    }
    this.#db.close();
  }

  /** A page that several commits change is written to the database once by a later checkpoint, which waits for the disk. */
  #checkpointEvery(pages: number): void {
    if (pages === this.#checkpointPages) return;
    this.#db.pragma(`wal_autocheckpoint = ${pages}`);
    this.#checkpointPages = pages;
  }
}

/** The merge of a whole pull: its connection is opened when the first of its batches comes, and kept for the others. */
export class Merging {
  readonly #session: SyncSession;
  readonly #config: SpaceConfig;
  #batches: MergeBatches | null = null;

  constructor(session: SyncSession, config: SpaceConfig) {
    this.#session = session;
    this.#config = config;
  }

  /** @throws MembridgeError memory_*; memory_locked also when another file took the place of the database */
  batches(): MergeBatches {
    const session = this.#session;
    requireSameFile(session.path, session.inode);
    if (this.#batches?.hasFailed === true) this.close();
    this.#batches ??= new MergeBatches(session, this.#config, session.ledger.spaces.get(this.#config.cid));
    return this.#batches;
  }

  close(): void {
    this.#batches?.close();
    this.#batches = null;
  }
}

/** Runs a pull, or a part of one, with a merge that is closed at its end. */
export async function withMerging<T>(
  session: SyncSession,
  config: SpaceConfig,
  work: (merging: Merging) => Promise<T>,
): Promise<T> {
  const merging = new Merging(session, config);
  try {
    return await work(merging);
  } finally {
    merging.close();
  }
}
