import { MembridgeError } from '../../contract/errors.ts';

/** What transfers of objects are held to. */
export interface TransferLimits {
  /** Transfers of one node at once: twice what an agent opens. */
  readonly atOnce: number;
  /** How long nothing may move, in milliseconds. */
  readonly idleMs: number;
}

export const TRANSFER_LIMITS: TransferLimits = { atOnce: 64, idleMs: 30_000 };

/** How often a running transfer looks whether its node's key still counts, in milliseconds. */
const KEY_CHECK_MS = 1_000;

/** A transfer that is about to begin. */
export interface Transfer {
  readonly node: string;
  readonly key: string;
  /** How long all of it may take, in milliseconds. */
  readonly totalMs: number;
  /** Whether the key that it began with still is the node's. */
  readonly isStillAllowed: () => Promise<boolean>;
}

/** The transfers that run, by node. Each ends when it stalls, takes too long, or its node is removed or gets another key. */
export class Transfers {
  readonly #limits: TransferLimits;
  readonly #open = new Map<string, number>();

  constructor(limits: TransferLimits) {
    this.#limits = limits;
  }

  /**
   * Runs one transfer.
   * @param work moves the bytes, calls `moved` for each piece, and stops when `ending` aborts
   * @throws MembridgeError too_many_requests when the node has too many; store_unavailable when it stalls or takes too long;
   *   unauthorized when the node's key no longer counts; whatever `work` throws
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
        `${node} has ${open} transfers open; wait for one to end.`,
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
      // Without PostgreSQL nobody can say; the next look may.
      const isAllowed = await isStillAllowed().catch(() => true);
      if (!isAllowed)
        ending.abort(new MembridgeError('unauthorized', `The key of ${node} no longer counts.`));
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
