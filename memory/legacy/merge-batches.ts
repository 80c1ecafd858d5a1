import type Database from 'better-sqlite3';
import type { SpaceConfig } from '../../contract/memory.ts';
import { guarded, openForMerging } from '../claude-mem/open.ts';
import { Merger } from '../merge/merger.ts';
import type { Outcome } from '../merge/tools.ts';
import { Pace } from '../pace.ts';
import type { SyncSession } from '../session.ts';
import { IMPORT_BIT } from './origin.ts';

/** Merges what an import brings, in transactions on both files as long, and with such pauses, as pace.ts says. */
export class MergeBatches {
  readonly #session: SyncSession;
  readonly #db: Database.Database;
  readonly #merger: Merger;
  readonly #pace: Pace;

  /** Opens a connection that may write; `close` ends it. @throws MembridgeError memory_missing, memory_locked, memory_corrupt */
  constructor(session: SyncSession, config: SpaceConfig) {
    this.#session = session;
    this.#db = openForMerging(session.path, session.inode);
    const space = { ...session.ledger.spaces.get(config.cid), id: IMPORT_BIT };
    this.#merger = new Merger({ ...session, db: this.#db, space, config, node: session.identity.node });
    this.#pace = new Pace(session.path, this.#db);
  }

  /**
   * Merges items one by one.
   * @returns how many rows that were to be inserted this claude-mem refused, so that they wait instead
   * @throws MembridgeError memory_*; what was merged before stays
   */
  async run<T>(items: readonly T[], work: (merger: Merger, item: T) => Outcome): Promise<number> {
    const merger = this.#merger;
    let refused = 0;
    for (let next = 0; next < items.length;) {
      this.#session.signal.throwIfAborted();
      const hold = this.#pace.hold();
      const began = performance.now();
      const batch = (): number => {
        let at = next;
        while (at < items.length) {
          const item = items[at];
          if (item !== undefined) work(merger, item);
          at += 1;
          refused += merger.flushIfMany();
          if (performance.now() - began >= hold) break;
        }
        refused += merger.flush();
        return at;
      };
      next = guarded(this.#session.path, () =>
        this.#session.ledger.atomically(() => this.#db.transaction(batch).immediate()),
      );
      await this.#pace.pause(performance.now() - began);
    }
    return refused;
  }

  close(): void {
    this.#db.close();
  }
}
