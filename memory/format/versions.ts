/** When a memory was last written: per-memory counter, hybrid logical clock, node. Compared in that order. */
export interface Version {
  readonly counter: number;
  /** Epoch milliseconds times 1,024, plus a logical count within the millisecond. */
  readonly hlc: number;
  readonly node: string;
}

/** A memory seen here that no operation has named yet: older than every operation. */
export const UNVERSIONED: Version = { counter: 0, hlc: 0, node: '' };

/** Positive when `a` is later than `b`, negative when earlier, 0 when they are the same version. */
export function compareVersions(a: Version, b: Version): number {
  if (a.counter !== b.counter) return a.counter - b.counter;
  if (a.hlc !== b.hlc) return a.hlc - b.hlc;
  return a.node < b.node ? -1 : a.node > b.node ? 1 : 0;
}

/** A version as text that sorts as versions compare. */
export function versionText({ counter, hlc, node }: Version): string {
  return `${String(counter).padStart(14, '0')}-${String(hlc).padStart(17, '0')}-${node}`;
}

const LOGICAL_STEPS = 1_024;

/** The first reading of the hybrid clock in a millisecond. @param at epoch ms */
export const clockAt = (at: number): number => at * LOGICAL_STEPS;

/** The time of a reading of the hybrid clock, in epoch ms. */
export const timeOf = (hlc: number): number => Math.floor(hlc / LOGICAL_STEPS);

/** A clock further ahead than this is not followed (5 minutes, in milliseconds). */
export const MAX_DRIFT_MS = 5 * 60_000;

/** Whether a time has passed since a moment. A moment in the future comes of a clock that was put back: it counts as past. */
export function hasPassed(since: number, ms: number, now: number): boolean {
  return now - since >= ms || since - now > MAX_DRIFT_MS;
}

/** A hybrid logical clock: never goes back, follows what it hears unless that is absurdly far ahead. */
export class HybridClock {
  #last: number;
  readonly #now: () => number;

  /** @param last the last reading that was handed out before, from the ledger; @param now epoch milliseconds */
  constructor(last: number, now: () => number) {
    this.#last = last;
    this.#now = now;
  }

  /** The next reading; later than every one before. */
  tick(): number {
    this.#last = Math.max(clockAt(this.#now()), this.#last + 1);
    return this.#last;
  }

  /** Takes note of another node's reading. */
  hear(hlc: number): void {
    if (hlc <= clockAt(this.#now() + MAX_DRIFT_MS)) this.#last = Math.max(this.#last, hlc);
  }

  get last(): number {
    return this.#last;
  }
}
