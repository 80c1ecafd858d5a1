/** Answers that take less time than this are computed for each request, in milliseconds. */
const MIN_KEPT_MS = 25;
/** An answer is reused for this many times its computing time. So requests use at most a fifth of a core. */
const REUSE_FACTOR = 4;

interface Kept<T> {
  readonly answer: T;
  readonly took: number;
  readonly until: number;
}

/** Shares one answer between all readers while it is expensive to compute. */
export class KeptAnswer<T> {
  readonly #compute: () => Promise<T>;
  #kept: Kept<T> | null = null;
  #computing: Promise<T> | null = null;

  constructor(compute: () => Promise<T>) {
    this.#compute = compute;
  }

  /**
   * Computes the answer, or returns a recent one where computing takes long.
   * @param isCurrent returns whether a stored answer is still right; if not, it is computed again
   * @throws whatever computing throws
   */
  async get(isCurrent: (answer: T) => boolean = () => true): Promise<T> {
    const kept = this.#kept;
    if (kept !== null && kept.took >= MIN_KEPT_MS) {
      if (performance.now() <= kept.until && isCurrent(kept.answer)) return kept.answer;
      if (this.#computing !== null) return await this.#computing;
    }
    const computing = this.#computeNow();
    this.#computing = computing;
    try {
      return await computing;
    } finally {
      if (this.#computing === computing) this.#computing = null;
    }
  }

  async #computeNow(): Promise<T> {
    const began = performance.now();
    const answer = await this.#compute();
    const took = performance.now() - began;
    this.#kept = { answer, took, until: performance.now() + REUSE_FACTOR * took };
    return answer;
  }
}

const shared = new WeakMap<object, Map<string, KeptAnswer<unknown>>>();

/** Returns the shared answer of a name; each owner has its own. */
export function keptAnswer<T>(owner: object, name: string, compute: () => Promise<T>): KeptAnswer<T> {
  const answers = shared.get(owner) ?? new Map<string, KeptAnswer<unknown>>();
  shared.set(owner, answers);
  const known = answers.get(name) ?? new KeptAnswer<unknown>(compute);
  answers.set(name, known);
  return known as KeptAnswer<T>;
}
