import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Traffic } from '../../contract/memory/memory.ts';
import type { LegacyStore } from '../../memory/legacy/transfer.ts';
import { damageBody, unavailable, type Bucket, type SimStore } from './bucket.ts';
import type { SimProcess } from './process.ts';

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** One machine's access to the bucket's mirrors. */
export interface MirrorStoreOptions {
  readonly bucket: Bucket;
  /** The store whose planned faults also hit here. */
  readonly store: SimStore;
  readonly process: SimProcess;
  /** Called for every object before an engine stores it. */
  readonly onPut: (key: string, bytes: Buffer) => void;
  /** Receives every database that an engine downloads, as it arrives. */
  readonly onDownload: (key: string, bytes: Buffer) => void;
}

/**
 * The mirrors of the bucket, as one machine's engine reaches them. A store that denies what it holds is no fault
 * here: an unconditional write then overwrites it, and nobody could prevent that.
 */
export class SimMirrorStore implements LegacyStore {
  readonly #options: MirrorStoreOptions;
  readonly #signal: AbortSignal | null;
  readonly #traffic: Traffic;

  /** @param signal ends any call; null: none does */
  constructor(
    options: MirrorStoreOptions,
    signal: AbortSignal | null,
    traffic: Traffic = { requests: 0, bytesUp: 0, bytesDown: 0 },
  ) {
    this.#options = options;
    this.#signal = signal;
    this.#traffic = traffic;
  }

  detached(): SimMirrorStore {
    return new SimMirrorStore(this.#options, null, this.#traffic);
  }

  get traffic(): Traffic {
    return { ...this.#traffic };
  }

  async text(key: string): Promise<string | null> {
    return (await this.#read(key))?.toString('utf8') ?? null;
  }

  async etag(key: string): Promise<string | null> {
    await this.#read(key);
    return this.#options.bucket.etag(key);
  }

  async download(key: string, path: string): Promise<{ size: number; sha: string } | null> {
    const { store, bucket, onDownload } = this.#options;
    const fault = await this.#begin(['unavailable', 'slow', 'truncated-body', 'flipped-body']);
    if (fault === 'unavailable') throw unavailable(`read ${key}`);
    const whole = bucket.get(key);
    if (whole === null) return null;
    const bytes = damageBody(whole, fault, store.dice);
    this.#traffic.bytesDown += bytes.length;
    writeFileSync(path, bytes);
    onDownload(key, bytes);
    return { size: bytes.length, sha: sha256(bytes) };
  }

  async upload(key: string, path: string): Promise<string> {
    const { store, bucket, process, onPut } = this.#options;
    const fault = await this.#begin(['unavailable', 'lost-answer', 'torn-put', 'slow']);
    const bytes = readFileSync(path);
    this.#traffic.bytesUp += bytes.length;
    if (fault === 'unavailable') throw unavailable(`store ${key}`);
    onPut(key, bytes);
    if (fault === 'torn-put') {
      // What the real store finds by the size; the damaged object stays.
      bucket.spoil(key, bytes.subarray(0, store.dice.below(bytes.length)));
      throw unavailable(`store all of ${key}`);
    }
    bucket.plant(key, bytes);
    process.step();
    if (fault === 'lost-answer') throw unavailable(`answer that it stored ${key}`);
    return bucket.etag(key) ?? '';
  }

  async put(key: string, text: string): Promise<void> {
    const { bucket, process, onPut } = this.#options;
    const fault = await this.#begin(['unavailable', 'lost-answer', 'slow']);
    const bytes = Buffer.from(text, 'utf8');
    this.#traffic.bytesUp += bytes.length;
    if (fault === 'unavailable') throw unavailable(`store ${key}`);
    onPut(key, bytes);
    bucket.plant(key, bytes);
    process.step();
    if (fault === 'lost-answer') throw unavailable(`answer that it stored ${key}`);
  }

  async remove(key: string): Promise<void> {
    const fault = await this.#begin(['unavailable', 'slow']);
    if (fault === 'unavailable') throw unavailable(`remove ${key}`);
    this.#options.bucket.remove(key);
  }

  async #read(key: string): Promise<Buffer | null> {
    const fault = await this.#begin(['unavailable', 'slow']);
    if (fault === 'unavailable') throw unavailable(`read ${key}`);
    return this.#options.bucket.get(key);
  }

  async #begin(fitting: Parameters<SimStore['begin']>[0]): ReturnType<SimStore['begin']> {
    this.#signal?.throwIfAborted();
    this.#traffic.requests += 1;
    const fault = await this.#options.store.begin(fitting);
    this.#signal?.throwIfAborted();
    return fault;
  }
}
