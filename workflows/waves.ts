/** What a node is to do. */
export interface Work<Config> {
  readonly push: boolean;
  readonly pull: boolean;
  /** Whether every segment is listed, rather than trusting the heads. */
  readonly full: boolean;
  /** The space as the node takes part in it. */
  readonly config: Config;
}

/** Does a node's work. @returns false when the node could not do it and its own workflow was asked to. Never throws. */
export type Serve<Config> = (node: string, work: Work<Config>) => Promise<boolean>;

/**
 * Serves many nodes side by side, each with one piece of work at a time. What is asked of a node while it works is done next, all at
 * once; what is asked of one that could not do its work waits a while.
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
   * @param options.rest ends when a node that could not do its work may be asked again
   * @param options.atOnce how many nodes are served side by side
   */
  constructor(options: { serve: Serve<Config>; rest: () => Promise<unknown>; atOnce: number }) {
    this.#serve = options.serve;
    this.#rest = options.rest;
    this.#atOnce = options.atOnce;
  }

  /** Gives a node work, and joins it with work that the node has not begun. */
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

  /** Whether no node works. */
  get isIdle(): boolean {
    return this.#running.size === 0;
  }

  /** Lets a node work again that could not do its work. */
  wake(node: string): void {
    if (this.#resting.delete(node)) this.#begin();
  }

  /** Starts no more work. `due` keeps what was not started. */
  stop(): void {
    this.#stopped = true;
  }

  /** The nodes that are due to push and those that are due to pull. */
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
