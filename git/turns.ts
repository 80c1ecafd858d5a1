/** Who works when: one at a time for each target, and only so many at once on a node. */

/**
 * Lets only so many work at once, in the order of their coming.
 * @param slots how many
 */
export class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(slots: number) {
    this.#free = slots;
  }

  /**
   * Waits for a free slot, then does the work.
   * @param onWait called once when there is none
   * @throws the signal's reason when it is aborted while waiting; whatever the work throws
   */
  async pass<T>(signal: AbortSignal, onWait: () => void, work: () => Promise<T>): Promise<T> {
    await this.#enter(signal, onWait);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #enter(signal: AbortSignal, onWait: () => void): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    const { promise: mine, resolve: admit } = Promise.withResolvers<void>();
    this.#waiting.push(admit);
    onWait();
    try {
      await orAborted(mine, signal);
    } catch (error) {
      const place = this.#waiting.indexOf(admit);
      if (place === -1) this.#leave();
      else this.#waiting.splice(place, 1);
      throw error;
    }
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}

/** The only slot of each target, as long as anybody works on it or waits for it. */
const targets = new Map<string, { gate: Gate; users: number }>();

/**
 * Waits for whatever works on the key in this process, then does the work.
 * @param onWait called once when something else works on it
 * @throws the signal's reason when it is aborted while waiting; whatever the work throws
 */
export async function inTurn<T>(
  key: string,
  signal: AbortSignal,
  onWait: () => void,
  work: () => Promise<T>,
): Promise<T> {
  const target = targets.get(key) ?? { gate: new Gate(1), users: 0 };
  targets.set(key, target);
  target.users += 1;
  try {
    return await target.gate.pass(signal, onWait, work);
  } finally {
    target.users -= 1;
    if (target.users === 0) targets.delete(key);
  }
}

async function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
