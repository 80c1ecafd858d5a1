import type Database from 'better-sqlite3';
import type { SpaceConfig } from '../../contract/memory.ts';
import { openForMerging } from '../claude-mem/open.ts';
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

/** Merges items one by one, in transactions on both files as long, and with such pauses, as pace.ts says. */
export class MergeBatches {
  readonly #session: SyncSession;
  readonly #db: Database.Database;
  readonly #merger: Merger;
  readonly #pace: Pace;
  readonly #newcomers: Newcomers;

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
    const { session, merger } = { session: this.#session, merger: this.#merger };
    for (let next = 0; next < items.length;) {
      session.signal.throwIfAborted();
      const hold = this.#pace.hold(items.length - next);
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
    this.#db.close();
  }
}
