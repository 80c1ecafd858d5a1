/** An answer that takes less time is computed for each request, in milliseconds. */
const CHEAP_MS = 25;
/** An answer is reused for this many times the time that it took. Requests then use a fifth of a core at most. */
const GIVEN_AGAIN = 4;

interface Kept<T> {
  readonly answer: T;
  readonly took: number;
  readonly until: number;
}

/** Keeps one answer for all readers while it is expensive to compute. */
export class KeptAnswer<T> {
  readonly #compute: () => Promise<T>;
  #kept: Kept<T> | null = null;
  #computing: Promise<T> | null = null;

  constructor(compute: () => Promise<T>) {
    this.#compute = compute;
  }

  /**
   * Computes the answer, or gives a recent one where computing takes long.
   * @param isCurrent tells whether a kept answer is still right; false computes it again
   * @throws whatever computing throws
   */
  async get(isCurrent: (answer: T) => boolean = () => true): Promise<T> {
    const kept = this.#kept;
    if (kept !== null && kept.took >= CHEAP_MS) {
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
    this.#kept = { answer, took, until: performance.now() + GIVEN_AGAIN * took };
    return answer;
  }
}

const shared = new WeakMap<object, Map<string, KeptAnswer<unknown>>>();

/** The kept answer of a name; each owner has its own. */
export function keptAnswer<T>(owner: object, name: string, compute: () => Promise<T>): KeptAnswer<T> {
  const answers = shared.get(owner) ?? new Map<string, KeptAnswer<unknown>>();
  shared.set(owner, answers);
  const known = answers.get(name) ?? new KeptAnswer<unknown>(compute);
  answers.set(name, known);
  return known as KeptAnswer<T>;
}
