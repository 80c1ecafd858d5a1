import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { MembridgeError } from '../contract/errors.ts';
import type { StoreAccess } from '../contract/nodes/nodes.ts';
import { DEADLINE_MS, storeErrorCode, connect, storeError, type ListedObject } from './object-store.ts';
import { withDeadline } from './with-deadline.ts';

/** Metadata of an object. */
interface ObjectInfo {
  readonly size: number;
  /** Without quotes. */
  readonly etag: string;
}

/**
 * The object store for a server that forwards objects: streams the bytes without buffering objects in memory.
 * Every call throws MembridgeError store_unavailable or store_refused, as ObjectStore does.
 */
export interface StreamedObjects {
  /** Starts reading an object; null when it does not exist. Destroy `body` to stop. */
  read(key: string): Promise<(ObjectInfo & { readonly body: Readable }) | null>;
  /** Returns the metadata of an object; null when it does not exist. */
  stat(key: string): Promise<(ObjectInfo & { readonly body: null }) | null>;
  /**
   * Stores a whole object. The object appears once all bytes arrived; a body that ends early or fails leaves
   * the former object.
   * @param promised what the store verifies the body against; `sha256` is lower-case hex
   * @returns the ETag.
   * @throws also the error that `body` was destroyed with, if that is a MembridgeError
   */
  write(key: string, body: Readable, promised: { size: number; sha256: string }): Promise<string>;
  remove(key: string): Promise<void>;
  /**
   * Lists objects under a prefix in key order, starting with the first key after `startAfter`; `more` when
   * others follow.
   */
  page(
    prefix: string,
    startAfter: string,
    limit: number,
  ): Promise<{ objects: ListedObject[]; more: boolean }>;
  /** Closes open connections. */
  close(): void;
}

/** Opens the objects of one bucket. Contacts nothing before the first call. */
export function openStreamedObjects(access: StoreAccess): StreamedObjects {
  // Callers limit their own number; a limit here would let slow readers block the others.
  const { client, agent } = connect(access, DEADLINE_MS, Infinity);
  const { bucket, endpoint, region } = access;

  const call = async <T>(verb: string, key: string, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (error instanceof MembridgeError) throw error;
      throw storeError(verb, `${key} in bucket ${bucket} at ${endpoint}`, error);
    }
  };
  const orNull = async <T>(work: Promise<T>): Promise<T | null> => {
    try {
      return await work;
    } catch (error) {
      // An answer without a body only says NotFound.
      if (['NoSuchKey', 'NotFound'].includes(storeErrorCode(error))) return null;
      throw error;
    }
  };

  return {
    read: async (key) =>
      await call(
        'get',
        key,
        withDeadline(
          DEADLINE_MS,
          orNull(
            client.getObject(bucket, key).then((body) => {
              const { headers } = body as IncomingMessage;
              return { body, size: Number(headers['content-length']), etag: unquoted(headers.etag) };
            }),
          ),
        ),
      ),
    stat: async (key) => {
      const work = client.statObject(bucket, key).then(({ size, etag }) => ({ size, etag, body: null }));
      return await call('get', key, withDeadline(DEADLINE_MS, orNull(work)));
    },
    write: async (key, body, { size, sha256 }) => {
      const options = {
        method: 'PUT',
        bucketName: bucket,
        objectName: key,
        headers: { 'content-length': String(size) },
      };
      // The client signs a digest only over plain HTTP.
      const signed = client.enableSHA256 ? sha256 : '';
      const work = client.makeRequestStreamAsync(options, body, signed, [200], region);
      const answer = await call('put', key, work);
      answer.resume();
      return unquoted(answer.headers.etag);
    },
    remove: async (key) =>
      await call('remove', key, withDeadline(DEADLINE_MS, client.removeObject(bucket, key))),
    page: async (prefix, startAfter, limit) => {
      const work = client.listObjectsV2Query(bucket, prefix, '', '', limit, startAfter);
      const { objects, isTruncated } = await call('list', prefix, withDeadline(DEADLINE_MS, work));
      return {
        objects: objects.flatMap(({ name, size, etag, lastModified }) =>
          name === undefined
            ? []
            : [{ key: name, size, etag, modified: lastModified?.getTime() ?? Date.now() }],
        ),
        more: isTruncated,
      };
    },
    close: () => agent.destroy(),
  };
}

const unquoted = (etag: string | undefined): string => (etag ?? '').replaceAll('"', '');
