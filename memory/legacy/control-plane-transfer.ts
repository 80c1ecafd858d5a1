import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { json, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { STORE_OBJECTS_PATH, StoredObject } from '../../contract/nodes/agent-store.ts';
import type { Traffic } from '../../contract/memory/memory.ts';
import { parseLoosely } from '../../contract/http/parse-loosely.ts';
import {
  ControlPlaneRequests,
  type ControlPlaneAccess,
  type Upload,
} from '../../storage/control-plane-requests.ts';
import { fileDigest } from './file-digest.ts';
import type { LegacyStore } from './transfer.ts';

/** A call without any transfer for this long is abandoned, in milliseconds. */
const IDLE_MS = 60_000;

/** A request's method and body. */
interface LegacyCall {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  readonly verb: string;
  readonly key: string;
  readonly upload?: Upload;
}

/**
 * Accesses the original's objects through the control plane: those of spaces whose primary this node is, in
 * the leadership epoch of its access.
 */
export class ControlPlaneLegacyStore implements LegacyStore {
  readonly #access: ControlPlaneAccess;
  readonly #signal: AbortSignal;
  readonly #traffic: Traffic;

  /**
   * @param signal ends any call in progress;
   * @param traffic the counter for requests and bytes
   */
  constructor(
    access: ControlPlaneAccess,
    signal: AbortSignal,
    traffic: Traffic = { requests: 0, bytesUp: 0, bytesDown: 0 },
  ) {
    this.#access = access;
    this.#signal = signal;
    this.#traffic = traffic;
  }

  detached(ms: number): ControlPlaneLegacyStore {
    return new ControlPlaneLegacyStore(this.#access, AbortSignal.timeout(ms), this.#traffic);
  }

  get traffic(): Traffic {
    return { ...this.#traffic };
  }

  async text(key: string): Promise<string | null> {
    return await this.#send({ method: 'GET', verb: 'get', key }, async (answer, counted) =>
      text(Readable.from(counted(answer))),
    );
  }

  async etag(key: string): Promise<string | null> {
    return await this.#send({ method: 'HEAD', verb: 'get', key }, (answer) => {
      answer.resume();
      return Promise.resolve((answer.headers.etag ?? '').replaceAll('"', ''));
    });
  }

  async download(key: string, path: string): Promise<{ size: number; sha: string } | null> {
    return await this.#send({ method: 'GET', verb: 'get', key }, async (answer, counted) => {
      const hash = createHash('sha256');
      let size = 0;
      const hashed = async function* (): AsyncGenerator<Buffer> {
        for await (const piece of counted(answer)) {
          hash.update(piece);
          size += piece.length;
          yield piece;
        }
      };
      await pipeline(hashed, createWriteStream(path, { mode: 0o600 }));
      return { size, sha: hash.digest('hex') };
    });
  }

  async upload(key: string, path: string): Promise<string> {
    const { size } = statSync(path);
    const sha256 = await fileDigest(path);
    return await this.#put(key, { content: createReadStream(path), size, sha256 });
  }

  async put(key: string, content: string): Promise<void> {
    const bytes = Buffer.from(content, 'utf8');
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    await this.#put(key, { content: Readable.from([bytes]), size: bytes.length, sha256 });
  }

  async remove(key: string): Promise<void> {
    await this.#send({ method: 'DELETE', verb: 'remove', key }, (answer) => {
      answer.resume();
      return Promise.resolve(null);
    });
  }

  /** @returns the ETag: the control plane accepts only the announced body */
  async #put(key: string, upload: Upload & { content: Readable }): Promise<string> {
    const stored = await this.#send({ method: 'PUT', verb: 'put', key, upload }, async (answer) =>
      parseLoosely(StoredObject, await json(answer)),
    );
    return stored?.etag ?? '';
  }

  /** Sends one request on its own connections, which end with it. */
  async #send<T>(
    { method, verb, key, upload }: LegacyCall,
    read: (answer: IncomingMessage, counted: (body: Readable) => AsyncGenerator<Buffer>) => Promise<T>,
  ): Promise<T | null> {
    this.#signal.throwIfAborted();
    this.#traffic.requests += 1;
    const silent = new AbortController();
    const giveUp = (): void => silent.abort(new Error(`nothing moved for ${IDLE_MS / 1_000} s`));
    const timer = setTimeout(giveUp, IDLE_MS);
    const pass = async function* (body: Readable, note: (bytes: number) => void): AsyncGenerator<Buffer> {
      for await (const piece of body as AsyncIterable<Buffer>) {
        timer.refresh();
        note(piece.length);
        yield piece;
      }
    };
    const down = (body: Readable): AsyncGenerator<Buffer> =>
      pass(body, (bytes) => (this.#traffic.bytesDown += bytes));
    const sent =
      upload === undefined || Buffer.isBuffer(upload.content)
        ? undefined
        : Readable.from(pass(upload.content, (bytes) => (this.#traffic.bytesUp += bytes)));
    const requests = new ControlPlaneRequests(this.#access);
    try {
      return await requests.send(
        {
          method,
          verb,
          target: key,
          path: `${STORE_OBJECTS_PATH}${key}`,
          signal: AbortSignal.any([this.#signal, silent.signal]),
          ...(upload === undefined || sent === undefined ? {} : { upload: { ...upload, content: sent } }),
        },
        (answer) => read(answer, down),
      );
    } catch (error) {
      this.#signal.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
      sent?.destroy();
      requests.close();
    }
  }
}
