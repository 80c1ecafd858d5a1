import { seeded } from '../../fixtures/claude-mem/history.ts';

/** Random values from a seed: the same seed gives the same values on every machine. */
export class Dice {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  /** Returns an integer from 0 up to, not including, `below`. */
  below(below: number): number {
    return Math.floor(this.#random() * below);
  }

  /** Returns an integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  /** Returns an element of a list. @throws Error when it is empty */
  pick<T>(list: readonly T[]): T {
    const chosen = list[this.below(list.length)];
    if (chosen === undefined) throw new Error('there is nothing to pick from');
    return chosen;
  }

  /** Returns an element of a list of [weight, thing]. */
  weighted<T>(choices: readonly (readonly [weight: number, thing: T])[]): T {
    let at = this.#random() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, thing] of choices) {
      at -= weight;
      if (at < 0) return thing;
    }
    return this.pick(choices)[1];
  }

  /** Returns a shuffled copy of a list. */
  shuffled<T>(list: readonly T[]): T[] {
    const result = [...list];
    for (let at = result.length - 1; at > 0; at -= 1) {
      const other = this.below(at + 1);
      const [a, b] = [result[at] as T, result[other] as T];
      result[at] = b;
      result[other] = a;
    }
    return result;
  }

  /** Returns a seed for other dice. */
  seed(): number {
    return this.below(0x1_0000_0000);
  }
}

/** Returns the seed of one history of a run: histories can be repeated one by one. */
export function historySeed(seed: number, history: number): number {
  return new Dice((Math.imul(seed, 0x9e3779b1) ^ Math.imul(history + 1, 0x85ebca6b)) >>> 0).seed();
}
