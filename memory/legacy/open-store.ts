import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Traffic } from '../../contract/memory/memory.ts';
import type { StoreAccess } from '../../contract/nodes/nodes.ts';
import { storeErrorCode, connect, storeError } from '../../storage/object-store.ts';
import { isThroughControlPlane } from '../../storage/store-route.ts';
import { ControlPlaneLegacyStore } from './control-plane-transfer.ts';

import type { LegacyStore, OpenLegacyStore } from './transfer.ts';

/**
 * A call without any transfer for this long is abandoned, in milliseconds; an upload part has up to 64 MiB.
 */
const IDLE_MS = 60_000;
const UPLOAD_IDLE_MS = 300_000;

/** Opens the original's objects in S3, or through the control plane. */
export const openLegacyStore: OpenLegacyStore = (access, signal) =>
  isThroughControlPlane(access)
    ? new ControlPlaneLegacyStore(access, signal)
    : new S3LegacyStore(access, signal);

/** Each call has its own connections, and large objects are transferred in parts. */
class S3LegacyStore implements LegacyStore {
  readonly #access: StoreAccess;
  readonly #signal: AbortSignal;
  readonly #traffic: Traffic;

  /**
   * @param signal ends any call in progress;
   * @param traffic the counter for requests and bytes
   */
  constructor(
    access: StoreAccess,
    signal: AbortSignal,
    traffic: Traffic = { requests: 0, bytesUp: 0, bytesDown: 0 },
  ) {
    this.#access = access;
    this.#signal = signal;
    this.#traffic = traffic;
  }

  detached(ms: number): S3LegacyStore {
    return new S3LegacyStore(this.#access, AbortSignal.timeout(ms), this.#traffic);
  }

  get traffic(): Traffic {
    return { ...this.#traffic };
  }

  async text(key: string): Promise<string | null> {
    return await this.#orNull(key, async (client, beat) => {
      const chunks: Buffer[] = [];
      for await (const chunk of await client.getObject(this.#access.bucket, key)) {
        beat();
        chunks.push(chunk as Buffer);
        this.#traffic.bytesDown += (chunk as Buffer).length;
      }
      return Buffer.concat(chunks).toString('utf8');
    });
  }

  async etag(key: string): Promise<string | null> {
    return await this.#orNull(
      key,
      async (client) => (await client.statObject(this.#access.bucket, key)).etag,
    );
  }

  async download(key: string, path: string): Promise<{ size: number; sha: string } | null> {
    return await this.#orNull(key, async (client, beat) => {
      const hash = createHash('sha256');
      let size = 0;
      const passing = this.#watched(beat, (length, chunk) => {
        hash.update(chunk);
        size += length;
        this.#traffic.bytesDown += length;
      });
      const body = await client.getObject(this.#access.bucket, key);
      await pipeline(body, passing, createWriteStream(path, { mode: 0o600 }));
      return { size, sha: hash.digest('hex') };
    });
  }

  async upload(key: string, path: string): Promise<string> {
    const { size } = statSync(path);
    return await this.#call('put', key, UPLOAD_IDLE_MS, async (client, beat) => {
      // A stream that waits for its reader: the client asks the store first, and reads later.
      const passing = this.#watched(beat, (length) => {
        this.#traffic.bytesUp += length;
      });
      const reading = pipeline(createReadStream(path), passing);
      try {
        await client.putObject(this.#access.bucket, key, passing, size);
        await reading;
      } finally {
        passing.destroy();
        await reading.catch(() => undefined);
      }
      const stored = await client.statObject(this.#access.bucket, key);
      this.#traffic.requests += 1;
      if (stored.size !== size) throw new Error(`it holds ${stored.size} of ${size} bytes`);
      return stored.etag;
    });
  }

  async put(key: string, text: string): Promise<void> {
    const bytes = Buffer.from(text, 'utf8');
    this.#traffic.bytesUp += bytes.length;
    await this.#call('put', key, IDLE_MS, (client) =>
      client.putObject(this.#access.bucket, key, bytes, bytes.length),
    );
  }

  async remove(key: string): Promise<void> {
    await this.#call('remove', key, IDLE_MS, (client) => client.removeObject(this.#access.bucket, key));
  }

  /** Forwards bytes and reports each chunk. */
  #watched(beat: () => void, note: (length: number, chunk: Buffer) => void): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        beat();
        note(chunk.length, chunk);
        done(null, chunk);
      },
    });
  }

  async #orNull<T>(
    key: string,
    work: (client: ReturnType<typeof connect>['client'], beat: () => void) => Promise<T>,
  ): Promise<T | null> {
    return await this.#call('get', key, IDLE_MS, async (client, beat) => {
      try {
        return await work(client, beat);
      } catch (error) {
        // An answer without a body only says NotFound.
        if (['NoSuchKey', 'NotFound'].includes(storeErrorCode(error))) return null;
        throw error;
      }
    });
  }

  /** Runs one call on its own connections, and closes them when it is done, abandoned or canceled. */
  async #call<T>(
    verb: string,
    key: string,
    idleMs: number,
    work: (client: ReturnType<typeof connect>['client'], beat: () => void) => Promise<T>,
  ): Promise<T> {
    this.#signal.throwIfAborted();
    this.#traffic.requests += 1;
    const { client, agent } = connect(this.#access, idleMs);
    const { promise: givenUp, reject } = Promise.withResolvers<never>();
    const silent = (): void => reject(new Error(`nothing moved for ${idleMs / 1_000} s`));
    let timer = setTimeout(silent, idleMs);
    const beat = (): void => {
      clearTimeout(timer);
      timer = setTimeout(silent, idleMs);
    };
    const calledOff = (): void => reject(this.#signal.reason);
    this.#signal.addEventListener('abort', calledOff, { once: true });
    const running = work(client, beat);
    try {
      return await Promise.race([running, givenUp]);
    } catch (error) {
      agent.destroy();
      // Its files must be closed before they are removed.
      await running.catch(() => undefined);
      this.#signal.throwIfAborted();
      const { bucket, endpoint } = this.#access;
      throw storeError(verb, `${key} in bucket ${bucket} at ${endpoint}`, error);
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener('abort', calledOff);
      agent.destroy();
    }
  }
}
