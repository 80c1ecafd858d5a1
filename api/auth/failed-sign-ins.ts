import { MemoryStore, ipKeyGenerator } from 'express-rate-limit';
import { MembridgeError } from '../../contract/errors.ts';
import type { Config } from '../config.ts';
import { sha256Hex } from './secrets.ts';

/** The most failures a minute from one address with keys that begin alike. */
export const FAILURES_PER_KEY = 20;
/** The most failures a minute from one address, whatever the keys. */
export const FAILURES_PER_ADDRESS = 100;
/**
 * The length of the key prefix that failures are counted by. The remaining 10 characters of the shortest allowed key
 * have 59 random bits.
 */
const PREFIX_CHARS = 6;
/** How many keys of nodes are remembered; more than a control plane has nodes. */
const MAX_KNOWN_KEYS = 10_000;

/** A wrong key: its address, and how many came from there in this minute. */
export interface KeyFailure {
  readonly address: string;
  readonly count: number;
}

/**
 * Limits wrong keys on every route, and in every header or body that takes a key. Two limits work together, so that
 * neither an attacker nor a machine with an old key locks out the people behind the same proxy. One counts the
 * failures of an address with one key prefix. The other counts all failures of an address. Beyond it, only keys are
 * checked that begin as one of ours, or that a node used before.
 */
export class FailedSignIns {
  readonly #byKey = counter();
  readonly #byAddress = counter();
  readonly #ownPrefixes: ReadonlySet<string>;
  readonly #knownKeys = new Set<string>();
  readonly #onFailure: (failure: KeyFailure) => void;

  /** @param onFailure called for each failure */
  constructor(
    config: Pick<Config, 'adminKey' | 'runtimeKey' | 'sharedAgentKey'>,
    onFailure: (failure: KeyFailure) => void,
  ) {
    const keys = [config.adminKey, config.runtimeKey, config.sharedAgentKey];
    this.#ownPrefixes = new Set(keys.filter((key) => key !== null).map(prefixOf));
    this.#onFailure = onFailure;
  }

  /**
   * Checks that more keys may be tried.
   * @param address the caller's; addresses of one IPv6 network (/56) count as one
   * @param keys the caller's keys; without any, the check passes
   * @throws MembridgeError too_many_requests
   */
  async check(address: string | undefined, keys: readonly string[]): Promise<void> {
    const from = networkOf(address);
    const failures = (await this.#byAddress.get(from))?.totalHits ?? 0;
    for (const key of keys) {
      const alike = (await this.#byKey.get(`${from} ${prefixOf(key)}`))?.totalHits ?? 0;
      const isLikely = this.#ownPrefixes.has(prefixOf(key)) || this.#knownKeys.has(sha256Hex(key));
      if (alike < FAILURES_PER_KEY && (failures < FAILURES_PER_ADDRESS || isLikely)) continue;
      throw new MembridgeError(
        'too_many_requests',
        'Too many failed attempts from this address; wait a minute and try again.',
      );
    }
  }

  /** Counts wrong keys. */
  async count(address: string | undefined, keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const from = networkOf(address);
    for (const key of new Set(keys.map(prefixOf))) await this.#byKey.increment(`${from} ${key}`);
    const { totalHits } = await this.#byAddress.increment(from);
    this.#onFailure({ address: from, count: totalHits });
  }

  /** Remembers a node's valid key, so that the failures of others at its address do not lock the node out. */
  remember(key: string): void {
    if (this.#knownKeys.size >= MAX_KNOWN_KEYS) this.#knownKeys.clear();
    this.#knownKeys.add(sha256Hex(key));
  }

  /** Stops the timers. */
  stop(): void {
    this.#byKey.shutdown();
    this.#byAddress.shutdown();
  }
}

function counter(): MemoryStore {
  const store = new MemoryStore();
  store.init({ windowMs: 60_000 } as Parameters<MemoryStore['init']>[0]);
  return store;
}

const prefixOf = (key: string): string => key.slice(0, PREFIX_CHARS);
const networkOf = (address: string | undefined): string =>
  address === undefined ? 'unknown' : ipKeyGenerator(address, 56);
