import { randomBytes } from 'node:crypto';
import type { Client } from 'minio';
import type { StoreAccess } from '../contract/nodes/nodes.ts';
import { DEADLINE_MS, storeErrorCode, connect, storeError } from './object-store.ts';
import { withDeadline } from './with-deadline.ts';

/**
 * How a store treats a conditional write. `holds`: of concurrent writers one wins. `races`: sometimes several
 * win. `ignored`: the condition has no effect. `refused`: the store does not support such writes.
 */
export type ConditionalPromise = 'holds' | 'races' | 'ignored' | 'refused';

/** The findings about one condition. */
export interface ConditionFinding {
  readonly promise: ConditionalPromise;
  /** Rounds in which several writers wrote one key at once; 0 if none took place. */
  readonly rounds: number;
  /** Rounds with more than one winner, or that left other bytes than the winner's. */
  readonly raced: number;
  /** The largest number of winners in a round. */
  readonly winnersMax: number;
  /** The store's error code for a refused write. */
  readonly refusal: string | null;
}

/** Findings about a store's conditional writes. */
export interface ConditionalWrites {
  /** `If-None-Match: *`: write only if the key does not exist. */
  readonly ifNoneMatch: ConditionFinding;
  /** `If-Match: <etag>`: write only over the version that was read. */
  readonly ifMatch: ConditionFinding;
  /** Writers per round. */
  readonly writers: number;
  readonly ms: number;
}

/**
 * As many as the client has connections. A store with several winners in 41 of 200 rounds showed it within
 * 100.
 */
const CONCURRENT_WRITERS = 8;
const ROUNDS = 100;

/** Codes for an unmet condition; the second is AWS's code for two concurrent writes. */
const UNMET_CODES = new Set(['PreconditionFailed', 'ConditionalRequestConflict']);

/** Codes that a condition cannot have caused, so they say nothing about it. */
const TEMPORARY_CODES = new Set([
  'SlowDown',
  'SlowDownWrite',
  'InternalError',
  'ServiceUnavailable',
  'RequestTimeout',
]);

type Attempt =
  { readonly end: 'won' } | { readonly end: 'lost' } | { readonly end: 'refused'; readonly code: string };

/**
 * Tests an object store with concurrent writers on one key, round after round, with If-None-Match and with
 * If-Match. A store that passes may still race under a load that this probe does not create, so use
 * conditions only as an additional safeguard. Writes under `<prefix>/<random>/` and removes all of it, even
 * after a failure.
 * @param options.rounds races per condition (100);
 * @param options.prefix where it may write (`membridge-probe`)
 * @throws MembridgeError store_unavailable or store_refused when the store refuses plain writes, or is away
 */
export async function probeConditionalWrites(
  access: StoreAccess,
  options: { rounds?: number; prefix?: string; signal?: AbortSignal } = {},
): Promise<ConditionalWrites> {
  const began = performance.now();
  const { client, agent } = connect(access, DEADLINE_MS);
  const folder = `${options.prefix ?? 'membridge-probe'}/${randomBytes(8).toString('hex')}`;
  const store = new ProbedKeys(client, access, folder, options.signal);
  const rounds = options.rounds ?? ROUNDS;
  try {
    const ifNoneMatch = await probe(store, rounds, {
      // The key exists, so the write must fail.
      begin: () => Promise.resolve({ 'If-None-Match': '*' }),
      trial: async (key) => {
        await store.write(key, 'first');
        return { 'If-None-Match': '*' };
      },
    });
    const ifMatch = await probe(store, rounds, {
      begin: async (key) => ({ 'If-Match': `"${await store.write(key, 'first')}"` }),
      // The object was replaced, so the write must fail.
      trial: async (key) => {
        const before = await store.write(key, 'first');
        await store.write(key, 'second');
        return { 'If-Match': `"${before}"` };
      },
    });
    return { ifNoneMatch, ifMatch, writers: CONCURRENT_WRITERS, ms: performance.now() - began };
  } finally {
    await store.removeAll().finally(() => agent.destroy());
  }
}

type Condition = Record<string, string>;

/** Prepares a condition on a key: for a race that one writer may win, and for a trial that none may win. */
interface Setup {
  begin(key: string): Promise<Condition>;
  trial(key: string): Promise<Condition>;
}

async function probe(store: ProbedKeys, rounds: number, setup: Setup): Promise<ConditionFinding> {
  const none = { rounds: 0, raced: 0, winnersMax: 0, refusal: null };
  const key = store.newKey();
  const trial = await store.attempt(key, 'must not be stored', await setup.trial(key));
  if (trial.end === 'refused') return { ...none, promise: 'refused', refusal: trial.code };
  if (trial.end === 'won') return { ...none, promise: 'ignored' };

  let raced = 0;
  let winnersMax = 0;
  for (let round = 0; round < rounds; round += 1) {
    const contested = store.newKey();
    const condition = await setup.begin(contested);
    const attempts = await Promise.all(
      Array.from({ length: CONCURRENT_WRITERS }, async (_, writer) => ({
        writer,
        ...(await store.attempt(contested, `writer ${writer}`, condition)),
      })),
    );
    const refused = attempts.find((attempt) => attempt.end === 'refused');
    if (refused?.end === 'refused') return { ...none, promise: 'refused', refusal: refused.code };
    const winners = attempts.filter((attempt) => attempt.end === 'won');
    winnersMax = Math.max(winnersMax, winners.length);
    const [winner] = winners;
    // With a single winner, its bytes must be there: the store may have accepted another write and reported a
    // failure.
    const kept = winner === undefined || (await store.read(contested)) === `writer ${winner.writer}`;
    if (winners.length > 1 || !kept) raced += 1;
  }
  // Without a winner in any round, the promise is useless.
  if (winnersMax === 0) return { ...none, promise: 'refused', rounds, refusal: 'no writer ever won' };
  return { promise: raced > 0 ? 'races' : 'holds', rounds, raced, winnersMax, refusal: null };
}

/** The keys of one probe, all under one prefix. */
class ProbedKeys {
  readonly #client: Client;
  readonly #access: StoreAccess;
  readonly #folder: string;
  readonly #signal: AbortSignal | undefined;
  #count = 0;

  constructor(client: Client, access: StoreAccess, folder: string, signal: AbortSignal | undefined) {
    this.#client = client;
    this.#access = access;
    this.#folder = folder;
    this.#signal = signal;
  }

  newKey(): string {
    this.#signal?.throwIfAborted();
    this.#count += 1;
    return `${this.#folder}/${String(this.#count).padStart(6, '0')}`;
  }

  /**
   * Writes unconditionally.
   * @returns the ETag.
   * @throws MembridgeError
   */
  async write(key: string, text: string): Promise<string> {
    return await this.#call('put', key, () => this.#put(key, text, {}));
  }

  /**
   * Writes under a condition.
   * @throws MembridgeError when the response says nothing about the condition
   */
  async attempt(key: string, text: string, condition: Condition): Promise<Attempt> {
    try {
      await withDeadline(DEADLINE_MS, this.#put(key, text, condition));
      return { end: 'won' };
    } catch (error) {
      const code = storeErrorCode(error);
      if (UNMET_CODES.has(code)) return { end: 'lost' };
      const isAnswer = error instanceof Error && error.name === 'S3Error' && code !== '';
      if (isAnswer && !TEMPORARY_CODES.has(code)) return { end: 'refused', code };
      throw storeError('put', this.#target(key), error);
    }
  }

  async read(key: string): Promise<string> {
    return await this.#call('get', key, async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of await this.#client.getObject(this.#access.bucket, key)) {
        chunks.push(chunk as Buffer);
      }
      return Buffer.concat(chunks).toString('utf8');
    });
  }

  /**
   * Removes every key that was created.
   * @throws MembridgeError
   */
  async removeAll(): Promise<void> {
    for (let n = 1; n <= this.#count; n += 1) {
      const key = `${this.#folder}/${String(n).padStart(6, '0')}`;
      await this.#call('remove', key, () => this.#client.removeObject(this.#access.bucket, key));
    }
  }

  async #put(key: string, text: string, condition: Condition): Promise<string> {
    const bytes = Buffer.from(text, 'utf8');
    return (await this.#client.putObject(this.#access.bucket, key, bytes, bytes.length, condition)).etag;
  }

  async #call<T>(verb: string, key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await withDeadline(DEADLINE_MS, work());
    } catch (error) {
      throw storeError(verb, this.#target(key), error);
    }
  }

  #target(key: string): string {
    return `${key} in bucket ${this.#access.bucket} at ${this.#access.endpoint}`;
  }
}
