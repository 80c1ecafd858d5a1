import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type Database from 'better-sqlite3';
import { canSeeHolders, holdersOf, timesOpenHere } from '../claude-mem/holders.ts';

/**
 * Longest hold of claude-mem's write lock, in milliseconds, while somebody else uses the database. Its worker waits 5 s for
 * the lock and then loses a memory; with holds of this length and pauses as long, its own writes stay below 350 ms.
 */
const HOLD_MS = 40;

/** The same while nobody does: a worker that starts at that moment still finds the lock free soon enough. */
const HOLD_ALONE_MS = 1_000;

/** So many operations are applied within the shorter hold. */
const FEW = 100;

/** How often is looked who uses the database, in milliseconds. */
const LOOK_EVERY_MS = 1_000;

/** The connections by which the engine itself has the file open while it merges: one that reads, one that writes. */
const OWN_CONNECTIONS = 2;

/** After a commit by somebody else, the database counts as used for this long, in milliseconds. */
const USED_FOR_MS = 10_000;

/**
 * How long a merge may hold claude-mem's lock, and how long it pauses then. Without pauses only while no other process
 * has the file open and nobody wrote for a while; where that cannot be seen (no /proc), as if somebody used it.
 */
export class Pace {
  readonly #path: string;
  readonly #db: Database.Database;
  #lookedAt = -Infinity;
  #isAlone = false;
  #version = -1;
  #writtenAt = -Infinity;

  /** @param db the connection that merges: it sees by itself when another one commits */
  constructor(path: string, db: Database.Database) {
    this.#path = path;
    this.#db = db;
  }

  /**
   * The longest hold from now on, in milliseconds.
   * @param left how many operations are still to be applied: for a few it is not worth looking who uses the database
   */
  hold(left = Infinity): number {
    if (left <= FEW) return HOLD_MS;
    const now = performance.now();
    const version = this.#db.pragma('data_version', { simple: true }) as number;
    if (this.#version !== -1 && version !== this.#version) this.#writtenAt = now;
    this.#version = version;
    if (now - this.#lookedAt >= LOOK_EVERY_MS) {
      this.#lookedAt = now;
      this.#isAlone =
        canSeeHolders() && holdersOf(this.#path).length === 0 && timesOpenHere(this.#path) <= OWN_CONNECTIONS;
    }
    return this.isAlone ? HOLD_ALONE_MS : HOLD_MS;
  }

  /** Whether nobody else used the database when that was last looked at. */
  get isAlone(): boolean {
    return this.#isAlone && performance.now() - this.#writtenAt >= USED_FOR_MS;
  }

  /**
   * Lets others have their turn after a hold of so many milliseconds: as long, on average. SQLite asks for a lock again every
   * 100 ms; were the holds as regular, who once came at a bad moment would always come at one.
   */
  async pause(held: number): Promise<void> {
    if (this.hold() === HOLD_ALONE_MS) await nextTurn();
    else await sleep(held * (0.5 + Math.random()));
  }
}
