import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type Database from 'better-sqlite3';
import { canSeeHolders, holdersOf, countOwnHandles } from '../claude-mem/holders.ts';

/**
 * Longest hold of claude-mem's write lock while another process uses the database, in milliseconds. The
 * worker waits 5 s for the lock and then loses a memory. With holds of this length and equal pauses, its own
 * writes stay below 350 ms.
 */
const HOLD_MS = 40;

/**
 * The same while no other process does: a worker that starts during it still finds the lock free soon enough.
 */
const HOLD_ALONE_MS = 1_000;

/** Operations that are applied within the shorter hold. */
const SHORT_HOLD_OPERATIONS = 100;

/** How often to check who uses the database, in milliseconds. */
const CHECK_EVERY_MS = 1_000;

/** The engine's own connections to the file while it merges: one reads, one writes. */
const OWN_CONNECTIONS = 2;

/** The database counts as in use for this long after another process's commit, in milliseconds. */
const USED_FOR_MS = 10_000;

/**
 * Decides how long a merge may hold claude-mem's lock, and how long it then pauses. It omits pauses only
 * while no other process has the file open and none wrote recently. Where that is unknown (no /proc), it
 * assumes that the file is in use.
 */
export class Pace {
  readonly #path: string;
  readonly #db: Database.Database;
  #lookedAt = -Infinity;
  #isAlone = false;
  #version = -1;
  #writtenAt = -Infinity;

  /** @param db the connection that merges: it sees when another connection commits */
  constructor(path: string, db: Database.Database) {
    this.#path = path;
    this.#db = db;
  }

  /**
   * Returns the longest hold from now on, in milliseconds.
   * @param left operations still to apply: for a few it does not check who uses the database
   */
  hold(left = Infinity): number {
    if (left <= SHORT_HOLD_OPERATIONS) return HOLD_MS;
    const now = performance.now();
    const version = this.#db.pragma('data_version', { simple: true }) as number;
    if (this.#version !== -1 && version !== this.#version) this.#writtenAt = now;
    this.#version = version;
    if (now - this.#lookedAt >= CHECK_EVERY_MS) {
      this.#lookedAt = now;
      this.#isAlone =
        canSeeHolders() &&
        holdersOf(this.#path).length === 0 &&
        countOwnHandles(this.#path) <= OWN_CONNECTIONS;
    }
    return this.isAlone ? HOLD_ALONE_MS : HOLD_MS;
  }

  /** Whether no other process used the database at the last check. */
  get isAlone(): boolean {
    return this.#isAlone && performance.now() - this.#writtenAt >= USED_FOR_MS;
  }

  /**
   * Pauses after a hold of `held` milliseconds so that others get the lock: as long, on average. SQLite
   * retries a lock every 100 ms. Regular holds could meet every retry of one waiter, so the pause is random.
   */
  async pause(held: number): Promise<void> {
    if (this.hold() === HOLD_ALONE_MS) await nextTurn();
    else await sleep(held * (0.5 + Math.random()));
  }
}
