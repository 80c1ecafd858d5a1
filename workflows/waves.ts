/** Work for a node. */
export interface Work<Config> {
  readonly push: boolean;
  readonly pull: boolean;
  /** Whether to list every segment instead of trusting the heads. */
  readonly full: boolean;
  /** The space's configuration for this node. */
  readonly config: Config;
}

/**
 * Does a node's work.
 * @returns false when the node failed and its own workflow was asked instead. Never throws.
 */
export type Serve<Config> = (node: string, work: Work<Config>) => Promise<boolean>;

/**
 * Serves many nodes concurrently, with one piece of work per node at a time. Requests for a working node are
 * combined into its next work. A failed node rests for a while.
 */
export class Waves<Config> {
  readonly #serve: Serve<Config>;
  readonly #rest: () => Promise<unknown>;
  readonly #atOnce: number;
  readonly #due = new Map<string, Work<Config>>();
  readonly #running = new Set<string>();
  readonly #resting = new Set<string>();
  #stopped = false;

  /**
   * @param options.serve does the work
   * @param options.rest resolves when a failed node may be asked again
   * @param options.atOnce maximum number of nodes served concurrently
   */
  constructor(options: { serve: Serve<Config>; rest: () => Promise<unknown>; atOnce: number }) {
    this.#serve = options.serve;
    this.#rest = options.rest;
    this.#atOnce = options.atOnce;
  }

  /** Queues work for a node, and combines it with work that the node has not begun. */
  ask(node: string, work: Work<Config>): void {
    const due = this.#due.get(node);
    this.#due.set(node, {
      push: work.push || due?.push === true,
      pull: work.pull || due?.pull === true,
      full: work.full || due?.full === true,
      config: work.config,
    });
    this.#begin();
  }

  /** Whether no node is working. */
  get isIdle(): boolean {
    return this.#running.size === 0;
  }

  /** Ends the rest of a failed node. */
  wake(node: string): void {
    if (this.#resting.delete(node)) this.#begin();
  }

  /** Starts no further work. `due` keeps what was not started. */
  stop(): void {
    this.#stopped = true;
  }

  /** The nodes that still have to push, and those that have to pull. */
  get due(): { readonly push: string[]; readonly pull: string[] } {
    const nodes = [...this.#due];
    return {
      push: nodes.filter(([, { push }]) => push).map(([node]) => node),
      pull: nodes.filter(([, { pull }]) => pull).map(([node]) => node),
    };
  }

  #begin(): void {
    for (const [node, work] of this.#due) {
      if (this.#stopped || this.#running.size >= this.#atOnce) return;
      if (this.#running.has(node) || this.#resting.has(node)) continue;
      this.#due.delete(node);
      this.#running.add(node);
      void this.#run(node, work);
    }
  }

  async #run(node: string, work: Work<Config>): Promise<void> {
    const isDone = await this.#serve(node, work);
    this.#running.delete(node);
    if (!isDone) void this.#letRest(node);
    this.#begin();
  }

  async #letRest(node: string): Promise<void> {
    this.#resting.add(node);
    await this.#rest();
    this.wake(node);
  }
}
