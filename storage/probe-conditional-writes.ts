import { randomBytes } from 'node:crypto';
import type { Client } from 'minio';
import type { StoreAccess } from '../contract/nodes/nodes.ts';
import { DEADLINE_MS, codeOf, connect, storeError } from './object-store.ts';
import { withDeadline } from './with-deadline.ts';

/**
 * What a store makes of a conditional write.
 * `holds`: of writers at the same moment one wins. `races`: sometimes several do. `ignored`: the condition has no effect.
 * `refused`: the store does not know such a write.
 */
export type ConditionalPromise = 'holds' | 'races' | 'ignored' | 'refused';

/** What the probe of one condition saw. */
export interface ConditionFinding {
  readonly promise: ConditionalPromise;
  /** Rounds in which several writers wrote one key at once; 0 when it did not come to that. */
  readonly rounds: number;
  /** Rounds that more than one writer won, or that the store ended with other bytes than the winner's. */
  readonly raced: number;
  /** The most winners of one round. */
  readonly winnersMax: number;
  /** What the store answered to a write that it refused. */
  readonly refusal: string | null;
}

/** What a store promises of conditional writes, by trial. */
export interface ConditionalWrites {
  /** `If-None-Match: *`: write only where nothing is. */
  readonly ifNoneMatch: ConditionFinding;
  /** `If-Match: <etag>`: write only over what was read. */
  readonly ifMatch: ConditionFinding;
  /** Writers per round. */
  readonly writers: number;
  readonly ms: number;
}

/** As many as the client has connections; a store that let 41 of 200 rounds have several winners showed it within 100. */
const WRITERS = 8;
const ROUNDS = 100;

/** Answers by which a store says that the condition did not hold; the second is AWS's word for two writes at once. */
const LOST = new Set(['PreconditionFailed', 'ConditionalRequestConflict']);

/** Answers that a condition cannot have caused: they say nothing about it. */
const PASSING = new Set([
  'SlowDown',
  'SlowDownWrite',
  'InternalError',
  'ServiceUnavailable',
  'RequestTimeout',
]);

type Attempt =
  { readonly end: 'won' } | { readonly end: 'lost' } | { readonly end: 'refused'; readonly code: string };

/**
 * Races an object store: writers at once on one key, round after round, with If-None-Match and with If-Match. A store
 * that holds now may still race under a load this probe does not make: use conditions as a second belt only.
 * Writes below `<prefix>/<random>/` and removes all of it, also when it fails.
 * @param options.rounds races per condition (100); @param options.prefix where it may write (`membridge-probe`)
 * @throws MembridgeError store_unavailable or store_refused when the store does not take plain writes, or is away
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
      // Where something is, the write must fail.
      begin: () => Promise.resolve({ 'If-None-Match': '*' }),
      trial: async (key) => {
        await store.write(key, 'first');
        return { 'If-None-Match': '*' };
      },
    });
    const ifMatch = await probe(store, rounds, {
      begin: async (key) => ({ 'If-Match': `"${await store.write(key, 'first')}"` }),
      // Where something else is by now, the write must fail.
      trial: async (key) => {
        const before = await store.write(key, 'first');
        await store.write(key, 'second');
        return { 'If-Match': `"${before}"` };
      },
    });
    return { ifNoneMatch, ifMatch, writers: WRITERS, ms: performance.now() - began };
  } finally {
    await store.removeAll().finally(() => agent.destroy());
  }
}

type Condition = Record<string, string>;

/** How one condition is set up on a key: for a race that one writer may win, and for a trial that nobody may. */
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
      Array.from({ length: WRITERS }, async (_, writer) => ({
        writer,
        ...(await store.attempt(contested, `writer ${writer}`, condition)),
      })),
    );
    const refused = attempts.find((attempt) => attempt.end === 'refused');
    if (refused?.end === 'refused') return { ...none, promise: 'refused', refusal: refused.code };
    const winners = attempts.filter((attempt) => attempt.end === 'won');
    winnersMax = Math.max(winnersMax, winners.length);
    const [winner] = winners;
    // Of one winner the bytes must be there: another's write may have been taken and denied.
    const kept = winner === undefined || (await store.read(contested)) === `writer ${winner.writer}`;
    if (winners.length > 1 || !kept) raced += 1;
  }
  // No winner at all in any round is no promise one could use.
  if (winnersMax === 0) return { ...none, promise: 'refused', rounds, refusal: 'no writer ever won' };
  return { promise: raced > 0 ? 'races' : 'holds', rounds, raced, winnersMax, refusal: null };
}

/** The keys of one probe, all below one folder. */
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

  /** Writes without condition. @returns the ETag. @throws MembridgeError */
  async write(key: string, text: string): Promise<string> {
    return await this.#call('put', key, () => this.#put(key, text, {}));
  }

  /** Writes under a condition. @throws MembridgeError when the answer says nothing about the condition */
  async attempt(key: string, text: string, condition: Condition): Promise<Attempt> {
    try {
      await withDeadline(DEADLINE_MS, this.#put(key, text, condition));
      return { end: 'won' };
    } catch (error) {
      const code = codeOf(error);
      if (LOST.has(code)) return { end: 'lost' };
      const isAnswer = error instanceof Error && error.name === 'S3Error' && code !== '';
      if (isAnswer && !PASSING.has(code)) return { end: 'refused', code };
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

  /** Removes every key that was made. @throws MembridgeError */
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
