import { createHash } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Client, type ClientOptions } from 'minio';
import { MembridgeError, errorMessage } from '../contract/errors.ts';
import type { Traffic } from '../contract/memory/memory.ts';
import type { StoreAccess } from '../contract/nodes/nodes.ts';
import { withDeadline } from './with-deadline.ts';

/** An object in a listing. The ETag changes whenever the content does. */
export interface ListedObject {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  /** When the store received it, epoch milliseconds by the store's own clock. */
  readonly modified: number;
}

/**
 * The object store, reduced to what Membridge needs: immutable puts, gets, ordered listings. Only collection
 * deletes. Every call has a deadline and throws MembridgeError store_unavailable (network, 5xx, deadline:
 * worth a retry) or store_refused (any other refusal of the store).
 */
export interface ObjectStore {
  /** Stores a whole object; verifies by the returned ETag that the store holds exactly these bytes. */
  put(key: string, bytes: Buffer): Promise<void>;
  /** Returns an object's bytes, or null when it does not exist. */
  get(key: string): Promise<Buffer | null>;
  /** Lists objects under a prefix in key order, starting with the first key after `startAfter`. */
  list(prefix: string, startAfter?: string): Promise<ListedObject[]>;
  remove(key: string): Promise<void>;
  /** Returns requests and bytes since the previous call, or since the store was opened. */
  takeTraffic(): Traffic;
  /** Closes open connections. */
  close(): void;
}

/** Time limit of one call, in milliseconds; a segment has at most 4 MiB. */
export const DEADLINE_MS = 30_000;

/**
 * Maximum size of an object: far more than anything that Membridge stores, and less than would exhaust an
 * agent's memory.
 */
const MAX_BYTES = 128 * 2 ** 20;

/** Opens the store of one bucket. Contacts nothing before the first call. */
export function openObjectStore(access: StoreAccess, options: { deadlineMs?: number } = {}): ObjectStore {
  return new MinioStore(access, options.deadlineMs ?? DEADLINE_MS);
}

/**
 * Creates the bucket unless it exists.
 * @throws MembridgeError store_unavailable or store_refused
 */
export async function ensureBucket(access: StoreAccess): Promise<void> {
  const { client, agent } = connect(access, DEADLINE_MS);
  const target = `bucket ${access.bucket} at ${access.endpoint}`;
  try {
    if (await client.bucketExists(access.bucket)) return;
    await client.makeBucket(access.bucket, access.region);
  } catch (error) {
    if (storeErrorCode(error) === 'BucketAlreadyOwnedByYou') return;
    throw storeError('create', target, error);
  } finally {
    agent.destroy();
  }
}

/**
 * Returns a client of the store with dedicated connections and without a deadline; destroy the agent when
 * done.
 * @param maxSockets maximum number of connections
 */
export function connect(
  access: StoreAccess,
  deadlineMs: number,
  maxSockets = 8,
): { client: Client; agent: HttpAgent | HttpsAgent } {
  const url = new URL(access.endpoint);
  const useSSL = url.protocol === 'https:';
  // The minio client has no timeout; the socket's idle timeout detects a peer that went silent.
  const agentOptions = { keepAlive: true, maxSockets, timeout: deadlineMs };
  const agent = useSSL ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions);
  const options: ClientOptions = {
    endPoint: url.hostname,
    port: url.port === '' ? (useSSL ? 443 : 80) : Number(url.port),
    useSSL,
    accessKey: access.access_key,
    secretKey: access.secret_key,
    region: access.region,
    pathStyle: true,
    transportAgent: agent,
    // Only Temporal retries: a failed call fails its activity, which is retried.
    retryOptions: { disableRetry: true },
  };
  if (access.session_token !== undefined) options.sessionToken = access.session_token;
  return { client: new Client(options), agent };
}

class MinioStore implements ObjectStore {
  readonly #client: Client;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #access: StoreAccess;
  readonly #deadlineMs: number;
  #traffic = { requests: 0, bytesUp: 0, bytesDown: 0 };

  constructor(access: StoreAccess, deadlineMs: number) {
    const { client, agent } = connect(access, deadlineMs);
    this.#client = client;
    this.#agent = agent;
    this.#access = access;
    this.#deadlineMs = deadlineMs;
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    this.#traffic.requests += 1;
    this.#traffic.bytesUp += bytes.length;
    const { etag } = await this.#call('put', key, () =>
      this.#client.putObject(this.#access.bucket, key, bytes, bytes.length),
    );
    const md5 = createHash('md5').update(bytes).digest('hex');
    // An ETag is the MD5 of a single-part object unless the store encrypts; in that case only a read can
    // verify it.
    if (etag === md5) return;
    const stored = await this.get(key);
    if (stored === null || !stored.equals(bytes)) {
      throw new MembridgeError(
        'store_unavailable',
        `The object store at ${this.#access.endpoint} stored different bytes than were sent as ${key}.`,
      );
    }
  }

  async get(key: string): Promise<Buffer | null> {
    this.#traffic.requests += 1;
    try {
      const bytes = await this.#call('get', key, async () => {
        return await readBounded(await this.#client.getObject(this.#access.bucket, key));
      });
      this.#traffic.bytesDown += bytes.length;
      return bytes;
    } catch (error) {
      if (error instanceof MembridgeError && storeErrorCode(error.cause) === 'NoSuchKey') return null;
      throw error;
    }
  }

  async list(prefix: string, startAfter = ''): Promise<ListedObject[]> {
    return await this.#call('list', prefix, async () => {
      const objects: ListedObject[] = [];
      const stream = this.#client.listObjectsV2(this.#access.bucket, prefix, true, startAfter);
      for await (const item of stream as AsyncIterable<{
        name?: string;
        size: number;
        etag?: string;
        lastModified?: Date;
      }>) {
        if (item.name === undefined) continue;
        // A page of the listing has at most 1,000 keys (S3 ListObjectsV2).
        if (objects.length % 1_000 === 0 && objects.length > 0) this.#traffic.requests += 1;
        const modified = item.lastModified?.getTime() ?? Date.now();
        objects.push({ key: item.name, size: item.size, etag: item.etag ?? '', modified });
      }
      this.#traffic.requests += 1;
      return objects;
    });
  }

  async remove(key: string): Promise<void> {
    this.#traffic.requests += 1;
    await this.#call('remove', key, () => this.#client.removeObject(this.#access.bucket, key));
  }

  takeTraffic(): Traffic {
    const traffic = this.#traffic;
    this.#traffic = { requests: 0, bytesUp: 0, bytesDown: 0 };
    return traffic;
  }

  close(): void {
    this.#agent.destroy();
  }

  async #call<T>(verb: string, key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await withDeadline(this.#deadlineMs, work());
    } catch (error) {
      throw storeError(verb, `${key} in bucket ${this.#access.bucket} at ${this.#access.endpoint}`, error);
    }
  }
}

/**
 * Reads all bytes of a stream.
 * @throws Error when there are more than in any object of ours
 */
export async function readBounded(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES / 2 ** 20} MiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Codes of permanent refusals; anything else (network, 5xx, slow down) may be temporary. */
const REFUSAL_CODES = new Set([
  'AccessDenied',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'NoSuchBucket',
  'NoSuchKey',
  'InvalidBucketName',
  'EntityTooLarge',
  'PreconditionFailed',
]);

/** Returns the error code from the store or the network, or an empty text. */
export function storeErrorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return String(error.code);
}

/** Converts an error of the client: store_refused for a permanent refusal, else store_unavailable. */
export function storeError(verb: string, target: string, cause: unknown): MembridgeError {
  const code = storeErrorCode(cause);
  const reason = `${errorMessage(cause) || code}${code === 'RequestTimeTooSkewed' ? ' Set the clock of this machine.' : ''}`;
  return REFUSAL_CODES.has(code)
    ? new MembridgeError('store_refused', `The object store refused to ${verb} ${target}: ${reason}`, {
        cause,
      })
    : new MembridgeError('store_unavailable', `The object store could not ${verb} ${target}: ${reason}`, {
        cause,
      });
}
