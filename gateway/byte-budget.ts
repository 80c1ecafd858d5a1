import { MembridgeError } from '../contract/errors.ts';

/** Counts the bytes that calls hold in memory, and refuses bytes beyond a limit. */
export class ByteBudget {
  readonly #max: number;
  #held = 0;

  constructor(maxBytes: number) {
    this.#max = maxBytes;
  }

  /**
   * Starts to count for one call.
   * @returns `take`, which throws MembridgeError too_many_requests beyond the limit; `release`, which gives
   * everything back, and must be called once
   */
  open(): { take(bytes: number): void; release(): void } {
    let mine = 0;
    let isOver = false;
    return {
      take: (bytes) => {
        if (isOver) return;
        mine += bytes;
        this.#held += bytes;
        if (this.#held <= this.#max) return;
        throw new MembridgeError(
          'too_many_requests',
          `The calls of this node hold more than ${this.#max} bytes at the gateway; send this one again later.`,
        );
      },
      release: () => {
        isOver = true;
        this.#held -= mine;
      },
    };
  }
}
