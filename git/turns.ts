/** Limits concurrency: one at a time per target, and a maximum per node. */

/**
 * Runs a limited number of works at once, in order of arrival.
 * @param slots the maximum
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
   * @throws the signal's reason when it is aborted while waiting; errors of the work
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

/** The single slot of each target, while any work on it runs or waits. */
const gates = new Map<string, { gate: Gate; users: number }>();

/**
 * Waits for other work on the key in this process, then does the work.
 * @param onWait called once when other work uses it
 * @throws the signal's reason when it is aborted while waiting; errors of the work
 */
export async function runInTurn<T>(
  key: string,
  signal: AbortSignal,
  onWait: () => void,
  work: () => Promise<T>,
): Promise<T> {
  const target = gates.get(key) ?? { gate: new Gate(1), users: 0 };
  gates.set(key, target);
  target.users += 1;
  try {
    return await target.gate.pass(signal, onWait, work);
  } finally {
    target.users -= 1;
    if (target.users === 0) gates.delete(key);
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
