/** Below this, an answer is computed for each request: it is cheap, and always new (milliseconds). */
const CHEAP_MS = 25;
/** An answer is given again for this many times the time that it took: requests then cost a fifth of a core at most. */
const GIVEN_AGAIN = 4;

interface Kept<T> {
  readonly answer: T;
  readonly took: number;
  readonly until: number;
}

/** An answer of which every reader gets the same, and which takes long on a large fleet. */
export class KeptAnswer<T> {
  readonly #compute: () => Promise<T>;
  #kept: Kept<T> | null = null;
  #computing: Promise<T> | null = null;

  constructor(compute: () => Promise<T>) {
    this.#compute = compute;
  }

  /**
   * Computes the answer, or gives one that is a moment old where computing takes long.
   * @param isCurrent asked of an older answer; false has it computed again
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

/** The shared answer of a name, one for each owner. */
export function keptAnswer<T>(owner: object, name: string, compute: () => Promise<T>): KeptAnswer<T> {
  const answers = shared.get(owner) ?? new Map<string, KeptAnswer<unknown>>();
  shared.set(owner, answers);
  const known = answers.get(name) ?? new KeptAnswer<unknown>(compute);
  answers.set(name, known);
  return known as KeptAnswer<T>;
}
