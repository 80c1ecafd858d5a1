/** A task that waits for a slot on this very node. */
interface Waiting {
  readonly priority: number;
  readonly give: () => void;
  readonly refuse: () => void;
}

/** How many tasks this node runs at once, and who is next. */
export class TaskSlots {
  readonly total: number;
  #used = 0;
  #drained = false;
  #unable = false;
  readonly #waiting: Waiting[] = [];
  readonly #watching = new Set<() => void>();

  /** @param total MEMBRIDGE_MAX_CONCURRENCY */
  constructor(total: number) {
    this.total = total;
  }

  get used(): number {
    return this.#used;
  }

  /** Whether there is room beside so many that are spoken for. */
  hasRoom(spokenFor = 0): boolean {
    return !this.#isClosed && this.#used + this.#waiting.length + spokenFor < this.total;
  }

  /** While a node is drained no task begins; those that run go on. */
  setDrained(drained: boolean): void {
    this.#drained = drained;
    this.#refuseWaiting();
  }

  /** While a node cannot work no task begins, as while it is drained. */
  setUnable(unable: boolean): void {
    if (unable === this.#unable) return;
    this.#unable = unable;
    this.#refuseWaiting();
  }

  get #isClosed(): boolean {
    return this.#drained || this.#unable;
  }

  #refuseWaiting(): void {
    // Other nodes may have a slot for them.
    if (this.#isClosed) for (const { refuse } of this.#waiting.splice(0)) refuse();
    this.changed();
  }

  /** Takes a slot if one is free. @returns the way to give it back; null when none is */
  tryTake(): (() => void) | null {
    return this.hasRoom() ? this.#take() : null;
  }

  /**
   * Waits for a slot: the most urgent first, then who came first.
   * @param ms how long at most
   * @returns the way to give it back; null when none came in time, or the node is drained meanwhile
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
      this.changed();
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

  /** Hears of every change. @returns the way to hear no more */
  watch(hear: () => void): () => void {
    this.#watching.add(hear);
    return () => this.#watching.delete(hear);
  }

  #take(): () => void {
    this.#used += 1;
    this.changed();
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#used -= 1;
      this.changed();
    };
  }

  /** Gives free slots to who waits, and tells who watches. */
  changed(): void {
    while (!this.#isClosed && this.#used < this.total) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      next.give();
    }
    for (const hear of this.#watching) hear();
  }
}
