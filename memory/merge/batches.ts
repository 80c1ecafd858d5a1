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

/** Items read together, such as the operations of one segment, and merged in order. */
export interface Stretch<T> {
  readonly items: readonly T[];
  /** Records how many of the items are merged. Runs in the ledger's transaction. */
  filed?(done: number): void;
  /** Records that all of them are merged. Runs in the ledger's transaction. */
  end?(): void;
}

/** Wraps items that were read already. */
export const readAlready = <T>(items: readonly T[]): Stretch<T>[] => (items.length === 0 ? [] : [{ items }]);

/**
 * Called after each commit with the outcome of each item, and the number of rows that claude-mem refused and
 * that now wait.
 */
export type Merged = (outcomes: readonly Outcome[], refused: number) => void;

/** A stretch, and how many of its items are merged. */
interface MergeProgress<T> {
  readonly stretch: Stretch<T>;
  done: number;
}

/**
 * WAL pages after which SQLite checkpoints: its default, and the value while no other process uses the
 * database.
 */
const CHECKPOINT_PAGES = 1_000;
const CHECKPOINT_PAGES_ALONE = 4_000;

/**
 * Merges items one by one in transactions on both files. pace.ts decides how long they last and how long the
 * pauses are.
 */
export class MergeBatches {
  readonly #session: SyncSession;
  readonly #db: Database.Database;
  readonly #merger: Merger;
  readonly #pace: Pace;
  readonly #newcomers: Newcomers;
  #checkpointPages = CHECKPOINT_PAGES;
  #hasFailed = false;

  /**
   * Opens a connection that may write; `close` ends it.
   * @throws MembridgeError memory_*
   */
  constructor(session: SyncSession, config: SpaceConfig, space: LedgerSpace) {
    this.#session = session;
    this.#db = openForMerging(session.path, session.inode);
    this.#merger = new Merger({ ...session, db: this.#db, space, config, node: session.identity.node });
    this.#pace = new Pace(session.path, this.#db);
    const reader = new RowReader(this.#db, session.schema);
    this.#newcomers = new Newcomers(reader, session.ledger, session.changes);
  }

  /**
   * Merges items in transactions on both files.
   * @param stretches read one after another, between two transactions if others use the database. If none do,
   * one transaction merges several stretches, because each commit writes the index pages of the previous one
   * again.
   * @param work merges one item
   * @throws SqliteError of either file: the engine translates it, which may require a look at the database
   * (search-index.ts). Committed merges stay.
   */
  async run<T>(
    stretches: Iterable<Stretch<T>>,
    work: (merger: Merger, item: T) => Outcome,
    merged: Merged,
  ): Promise<void> {
    const reading = stretches[Symbol.iterator]();
    const read = (): MergeProgress<T> | null => {
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

  /**
   * Whether a run was interrupted. The merger then still holds rows that it did not insert, so it must not be
   * used again.
   */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /**
   * Merges as much as one transaction may.
   * @returns the unfinished stretch, null for none, and how long it held claude-mem's lock, in milliseconds
   */
  #merge<T>(
    first: MergeProgress<T>,
    read: () => MergeProgress<T> | null,
    work: (merger: Merger, item: T) => Outcome,
    merged: Merged,
  ): { rest: MergeProgress<T> | null; held: number } {
    const { session, merger } = { session: this.#session, merger: this.#merger };
    const hold = this.#pace.hold(first.stretch.items.length - first.done);
    const { isAlone } = this.#pace;
    this.#checkpointEvery(isAlone ? CHECKPOINT_PAGES_ALONE : CHECKPOINT_PAGES);
    let held = 0;
    let refused = 0;
    const outcomes: Outcome[] = [];
    let before: WalPosition | null = null;
    let course: MergeProgress<T> | null = first;
    session.ledger.atomically(() => {
      const began = performance.now();
      const isOver = (): boolean => performance.now() - began + merger.flushMs >= hold;
      const batch = this.#db.transaction(() => {
        before = session.watch.position();
        merger.begin();
        this.#newcomers.nameRows();
        for (let present: MergeProgress<T> | null = first; present !== null; present = course) {
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
      // Leave the WAL no longer than usual for the next user of the database.
      if (this.#checkpointPages !== CHECKPOINT_PAGES) this.#db.pragma('wal_checkpoint(PASSIVE)');
    } catch {
      // The merged rows are safe in the WAL. The next commit of any connection may checkpoint them.
    }
    this.#db.close();
  }

  /**
   * Sets how many WAL pages trigger a checkpoint. A later checkpoint writes a page that several commits
   * changed only once, and waits for the disk.
   */
  #checkpointEvery(pages: number): void {
    if (pages === this.#checkpointPages) return;
    this.#db.pragma(`wal_autocheckpoint = ${pages}`);
    this.#checkpointPages = pages;
  }
}

/** The merge of a whole pull: opens its connection with the first batch, and keeps it for the others. */
export class Merging {
  readonly #session: SyncSession;
  readonly #config: SpaceConfig;
  #batches: MergeBatches | null = null;

  constructor(session: SyncSession, config: SpaceConfig) {
    this.#session = session;
    this.#config = config;
  }

  /** @throws MembridgeError memory_*; memory_locked also when another file replaced the database */
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
