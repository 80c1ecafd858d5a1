/** A task that waits for a slot on this node. */
interface Waiting {
  readonly priority: number;
  readonly give: () => void;
  readonly refuse: () => void;
}

/** Decides how many tasks this node runs at the same time, and which is next. */
export class TaskSlots {
  readonly total: number;
  #used = 0;
  #isDrained = false;
  #isUnable = false;
  readonly #waiting: Waiting[] = [];
  readonly #watching = new Set<() => void>();

  /** @param total MEMBRIDGE_MAX_CONCURRENCY */
  constructor(total: number) {
    this.total = total;
  }

  get used(): number {
    return this.#used;
  }

  /** Returns whether a slot is free beside those that are reserved. */
  hasRoom(spokenFor = 0): boolean {
    return !this.#isClosed && this.#used + this.#waiting.length + spokenFor < this.total;
  }

  /** Sets whether the node is drained: then no task begins, and running ones continue. */
  setDrained(drained: boolean): void {
    this.#isDrained = drained;
    this.#refuseWaiting();
  }

  /** Sets whether the node cannot work: then no task begins, as while it is drained. */
  setUnable(unable: boolean): void {
    if (unable === this.#isUnable) return;
    this.#isUnable = unable;
    this.#refuseWaiting();
  }

  get #isClosed(): boolean {
    return this.#isDrained || this.#isUnable;
  }

  #refuseWaiting(): void {
    // Other nodes may have a slot for them.
    if (this.#isClosed) for (const { refuse } of this.#waiting.splice(0)) refuse();
    this.notifyChange();
  }

  /** Takes a slot if one is free. @returns a function that gives it back; null when none is free */
  tryTake(): (() => void) | null {
    return this.hasRoom() ? this.#take() : null;
  }

  /**
   * Waits for a slot: the highest priority first, then first come, first served.
   * @param ms how long at most
   * @returns a function that gives it back; null when none came free in time, or the node was drained
   * @throws the signal's reason when it is aborted
   */
  async take(priority: number, ms: number, signal: AbortSignal): Promise<(() => void) | null> {
    signal.throwIfAborted();
    const free = this.tryTake();
    if (free !== null || this.#isClosed) return free;
    const { promise, resolve, reject } = Promise.withResolvers<(() => void) | null>();
    const waiting: Waiting = { priority, give: () => resolve(this.#take()), refuse: () => resolve(null) };
    const behind = this.#waiting.findIndex((other) => other.priority > priority);
    this.#waiting.splice(behind === -1 ? this.#waiting.length : behind, 0, waiting);
    const leave = (): void => {
      const at = this.#waiting.indexOf(waiting);
      if (at === -1) return;
      this.#waiting.splice(at, 1);
      this.notifyChange();
    };
    const abort = (): void => {
      leave();
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      leave();
      resolve(null);
    }, ms);
    signal.addEventListener('abort', abort, { once: true });
    return await promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    });
  }

  /** Calls `hear` on every change. @returns a function that ends that */
  watch(hear: () => void): () => void {
    this.#watching.add(hear);
    return () => this.#watching.delete(hear);
  }

  #take(): () => void {
    this.#used += 1;
    this.notifyChange();
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#used -= 1;
      this.notifyChange();
    };
  }

  /** Gives free slots to waiting tasks, and calls the watchers. */
  notifyChange(): void {
    while (!this.#isClosed && this.#used < this.total) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      next.give();
    }
    for (const hear of this.#watching) hear();
  }
}
