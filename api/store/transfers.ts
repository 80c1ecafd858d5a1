import { MembridgeError } from '../../contract/errors.ts';

/** The limits of object transfers. */
export interface TransferLimits {
  /** Transfers of one node at the same time: twice what an agent opens. */
  readonly atOnce: number;
  /** How long a transfer may stall, in milliseconds. */
  readonly idleMs: number;
}

export const TRANSFER_LIMITS: TransferLimits = { atOnce: 64, idleMs: 30_000 };

/** How often a running transfer checks whether its node's key is still valid, in milliseconds. */
const KEY_CHECK_MS = 1_000;

/** A transfer before it starts. */
export interface Transfer {
  readonly node: string;
  readonly key: string;
  /** How long it may take in total, in milliseconds. */
  readonly totalMs: number;
  /** Returns whether the key that it began with is still the node's. */
  readonly isStillAllowed: () => Promise<boolean>;
}

/**
 * The running transfers, by node. A transfer ends when it stalls, takes too long, or its node is removed or gets
 * another key.
 */
export class Transfers {
  readonly #limits: TransferLimits;
  readonly #open = new Map<string, number>();

  constructor(limits: TransferLimits) {
    this.#limits = limits;
  }

  /**
   * Runs one transfer.
   * @param work moves the bytes, calls `moved` for each chunk, and stops when `ending` aborts
   * @throws MembridgeError too_many_requests when the node has too many; store_unavailable when it stalls or takes
   * too long; unauthorized when the node's key is no longer valid; whatever `work` throws
   */
  async run<T>(
    transfer: Transfer,
    work: (around: { ending: AbortController; moved: () => void }) => Promise<T>,
  ): Promise<T> {
    const { node, key, totalMs, isStillAllowed } = transfer;
    const { atOnce, idleMs } = this.#limits;
    const open = this.#open.get(node) ?? 0;
    if (open >= atOnce) {
      throw new MembridgeError(
        'too_many_requests',
        `${node} has ${open} open transfers; wait until one ends.`,
      );
    }
    this.#open.set(node, open + 1);
    const ending = new AbortController();
    const { promise: ended, reject } = Promise.withResolvers<never>();
    ending.signal.addEventListener('abort', () => reject(ending.signal.reason), { once: true });
    const slow = (problem: string): void =>
      ending.abort(new MembridgeError('store_unavailable', `The transfer of ${key} ${problem}.`));
    const idle = setTimeout(() => slow(`stalled for ${idleMs / 1_000} s`), idleMs);
    const total = setTimeout(() => slow(`took longer than ${totalMs / 1_000} s`), totalMs);
    const checkKey = async (): Promise<void> => {
      // Without PostgreSQL the answer is unknown; the next check may have it.
      const isAllowed = await isStillAllowed().catch(() => true);
      if (!isAllowed)
        ending.abort(new MembridgeError('unauthorized', `The key of ${node} is no longer valid.`));
    };
    const watch = setInterval(() => void checkKey(), KEY_CHECK_MS);
    try {
      return await Promise.race([work({ ending, moved: () => idle.refresh() }), ended]);
    } finally {
      clearTimeout(idle);
      clearTimeout(total);
      clearInterval(watch);
      const left = (this.#open.get(node) ?? 1) - 1;
      if (left > 0) this.#open.set(node, left);
      else this.#open.delete(node);
    }
  }
}
