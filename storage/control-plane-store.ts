import { createHash } from 'node:crypto';
import { json } from 'node:stream/consumers';
import {
  STORE_LIST_PATH,
  STORE_OBJECTS_PATH,
  StoredObject,
  StoredObjects,
} from '../contract/nodes/agent-store.ts';
import { MembridgeError } from '../contract/errors.ts';
import type { Traffic } from '../contract/memory/memory.ts';
import { parseLoosely } from '../contract/http/parse-loosely.ts';
import { ControlPlaneRequests, type ControlPlaneAccess } from './control-plane-requests.ts';
import { DEADLINE_MS, readBounded, type ListedObject, type ObjectStore } from './object-store.ts';

/**
 * Opens the objects that this node may access through a control plane. Contacts nothing before the first
 * call.
 */
export function openControlPlaneStore(
  access: ControlPlaneAccess,
  options: { deadlineMs?: number } = {},
): ObjectStore {
  return new ControlPlaneStore(access, options.deadlineMs ?? DEADLINE_MS);
}

class ControlPlaneStore implements ObjectStore {
  readonly #requests: ControlPlaneRequests;
  readonly #serverUrl: string;
  readonly #deadlineMs: number;
  #traffic = { requests: 0, bytesUp: 0, bytesDown: 0 };

  constructor(access: ControlPlaneAccess, deadlineMs: number) {
    this.#requests = new ControlPlaneRequests(access);
    this.#serverUrl = access.server.url;
    this.#deadlineMs = deadlineMs;
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    this.#traffic.requests += 1;
    this.#traffic.bytesUp += bytes.length;
    const stored = await this.#requests.send(
      {
        ...this.#call('put', key),
        method: 'PUT',
        upload: { content: bytes, size: bytes.length, sha256: digest('sha256', bytes) },
      },
      async (answer) => parseLoosely(StoredObject, await json(answer)),
    );
    // An ETag is the MD5 of a single-part object unless the store encrypts; in that case only a read can
    // verify it.
    if (stored?.etag === digest('md5', bytes)) return;
    const held = await this.get(key);
    if (held === null || !held.equals(bytes)) {
      throw new MembridgeError(
        'store_unavailable',
        `The object store behind ${this.#serverUrl} stored different bytes than were sent as ${key}.`,
      );
    }
  }

  async get(key: string): Promise<Buffer | null> {
    this.#traffic.requests += 1;
    const bytes = await this.#requests.send({ ...this.#call('get', key), method: 'GET' }, readBounded);
    this.#traffic.bytesDown += bytes?.length ?? 0;
    return bytes;
  }

  async list(prefix: string, startAfter = ''): Promise<ListedObject[]> {
    const objects: ListedObject[] = [];
    const signal = AbortSignal.timeout(this.#deadlineMs);
    for (let after = startAfter, more = true; more;) {
      const query = new URLSearchParams({ prefix, start_after: after });
      this.#traffic.requests += 1;
      const page = await this.#requests.send(
        { ...this.#call('list', prefix), method: 'GET', path: `${STORE_LIST_PATH}?${query}`, signal },
        async (answer) => parseLoosely(StoredObjects, await json(answer)),
      );
      objects.push(...(page?.objects ?? []));
      after = page?.objects.at(-1)?.key ?? after;
      more = page?.more === true;
    }
    return objects;
  }

  async remove(key: string): Promise<void> {
    this.#traffic.requests += 1;
    await this.#requests.send({ ...this.#call('remove', key), method: 'DELETE' }, async (answer) => {
      await readBounded(answer);
    });
  }

  takeTraffic(): Traffic {
    const traffic = this.#traffic;
    this.#traffic = { requests: 0, bytesUp: 0, bytesDown: 0 };
    return traffic;
  }

  close(): void {
    this.#requests.close();
  }

  #call(verb: string, target: string) {
    const signal = AbortSignal.timeout(this.#deadlineMs);
    return { verb, target, path: `${STORE_OBJECTS_PATH}${target}`, signal };
  }
}

const digest = (algorithm: 'md5' | 'sha256', bytes: Buffer): string =>
  createHash(algorithm).update(bytes).digest('hex');
