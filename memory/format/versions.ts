/** A memory's last write: per-memory counter, hybrid logical clock, node. Compared in that order. */
export interface Version {
  readonly counter: number;
  /** Epoch milliseconds times 1,024, plus a logical count within the millisecond. */
  readonly hlc: number;
  readonly node: string;
}

/** The version of a local memory that no operation has named yet: older than every operation. */
export const UNVERSIONED: Version = { counter: 0, hlc: 0, node: '' };

/** Compares two versions: positive when `a` is later than `b`, negative when earlier, 0 when equal. */
export function compareVersions(a: Version, b: Version): number {
  if (a.counter !== b.counter) return a.counter - b.counter;
  if (a.hlc !== b.hlc) return a.hlc - b.hlc;
  return a.node < b.node ? -1 : a.node > b.node ? 1 : 0;
}

/** Returns a version as text that sorts in version order. */
export function versionText({ counter, hlc, node }: Version): string {
  return `${String(counter).padStart(14, '0')}-${String(hlc).padStart(17, '0')}-${node}`;
}

const LOGICAL_STEPS = 1_024;

/**
 * Returns the first clock reading within a millisecond.
 * @param at epoch milliseconds
 */
export const clockAt = (at: number): number => at * LOGICAL_STEPS;

/** Returns the time of a clock reading, epoch milliseconds. */
export const timeOf = (hlc: number): number => Math.floor(hlc / LOGICAL_STEPS);

/** Readings further ahead than this are not followed (5 minutes, in milliseconds). */
export const MAX_DRIFT_MS = 5 * 60_000;

/**
 * Returns whether `ms` have passed since a moment. A moment in the future counts as past: the clock was put
 * back.
 */
export function hasPassed(since: number, ms: number, now: number): boolean {
  return now - since >= ms || since - now > MAX_DRIFT_MS;
}

/**
 * A hybrid logical clock: never goes back, and follows received readings unless they are absurdly far ahead.
 */
export class HybridClock {
  #last: number;
  readonly #now: () => number;

  /**
   * @param last the last reading handed out before, from the ledger;
   * @param now returns epoch milliseconds
   */
  constructor(last: number, now: () => number) {
    this.#last = last;
    this.#now = now;
  }

  /** Returns the next reading, later than every earlier one. */
  tick(): number {
    this.#last = Math.max(clockAt(this.#now()), this.#last + 1);
    return this.#last;
  }

  /** Takes another node's reading into account. */
  receive(hlc: number): void {
    if (hlc <= clockAt(this.#now() + MAX_DRIFT_MS)) this.#last = Math.max(this.#last, hlc);
  }

  get last(): number {
    return this.#last;
  }
}
