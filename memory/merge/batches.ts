import type Database from 'better-sqlite3';
import type { SpaceConfig } from '../../contract/memory.ts';
import { openForMerging, requireSameFile } from '../claude-mem/open.ts';
import { RowReader } from '../claude-mem/read.ts';
import type { WalPosition } from '../claude-mem/wal.ts';
import type { LedgerSpace } from '../ledger/spaces.ts';
import { Pace } from '../pace.ts';
import type { SyncSession } from '../session.ts';
import { Merger } from './merger.ts';
import { Newcomers } from './newcomers.ts';
import type { Outcome } from './tools.ts';

/** What hears of the batches of a merge. */
export interface BatchListener {
  /** In the ledger's transaction, at its end: how many items are done since the beginning. */
  filed?(done: number): void;
  /** After the commits: what became of each item, and how many rows to be inserted this claude-mem refused, so that they wait. */
  merged?(outcomes: readonly Outcome[], refused: number): void;
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
   * @throws SqliteError of either file: the engine gives it its meaning, which may need a look at the database (search-index.ts).
   *   What was merged before stays.
   */
  async run<T>(
    items: readonly T[],
    work: (merger: Merger, item: T) => Outcome,
    listener: BatchListener = {},
  ): Promise<void> {
    try {
      await this.#runAll(items, work, listener);
    } catch (error) {
      this.#hasFailed = true;
      throw error;
    }
  }

  /** Whether a run was cut off. The merger still holds rows that it did not insert, so it must not be used again. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  async #runAll<T>(
    items: readonly T[],
    work: (merger: Merger, item: T) => Outcome,
    listener: BatchListener,
  ): Promise<void> {
    const { session, merger } = { session: this.#session, merger: this.#merger };
    for (let next = 0; next < items.length;) {
      session.signal.throwIfAborted();
      const hold = this.#pace.hold(items.length - next);
      this.#checkpointEvery(this.#pace.isAlone ? CHECKPOINT_PAGES_ALONE : CHECKPOINT_PAGES);
      let held = 0;
      let refused = 0;
      const outcomes: Outcome[] = [];
      let before: WalPosition | null = null;
      session.ledger.atomically(() => {
        const began = performance.now();
        const batch = this.#db.transaction(() => {
          before = session.watch.position();
          merger.begin();
          this.#newcomers.name();
          for (const item of items.slice(next)) {
            outcomes.push(work(merger, item));
            if (performance.now() - began + merger.flushMs >= hold) break;
          }
          refused = merger.flush();
          this.#newcomers.pass();
        });
        batch.immediate();
        held = performance.now() - began;
        listener.filed?.(next + outcomes.length);
      });
      session.watch.passOver(before);
      next += outcomes.length;
      listener.merged?.(outcomes, refused);
      if (next < items.length) await this.#pace.pause(held);
    }
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
