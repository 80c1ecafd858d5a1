/** Bytes in the object store that are named by their SHA-256: immutable, and stored once however often they are referred to. */
import { createHash } from 'node:crypto';
import { MembridgeError } from '../contract/errors.ts';
import type { Blob } from '../contract/runs.ts';
import type { ObjectStore } from './object-store.ts';

/** Where the bytes of a SHA-256 (lower-case hex) lie in the bucket. */
export const blobKey = (sha256: string): string => `blobs/${sha256.slice(0, 2)}/${sha256}`;

/**
 * Stores bytes. Storing the same ones again changes nothing.
 * @returns what they are referred to by
 * @throws MembridgeError store_unavailable, store_refused
 */
export async function putBlob(store: ObjectStore, bytes: Buffer): Promise<Blob> {
  const blob: Blob = { sha256: sha256Of(bytes), bytes: bytes.length };
  await store.put(blobKey(blob.sha256), bytes);
  return blob;
}

/**
 * The bytes that a reference stands for, verified against it.
 * @throws MembridgeError not_found where the store has none; store_unavailable where it gives other bytes; store_refused
 */
export async function getBlob(store: ObjectStore, blob: Blob): Promise<Buffer> {
  const key = blobKey(blob.sha256);
  const bytes = await store.get(key);
  if (bytes === null) {
    throw new MembridgeError('not_found', `The object store has nothing at ${key}: it was removed.`);
  }
  if (bytes.length !== blob.bytes || sha256Of(bytes) !== blob.sha256) {
    throw new MembridgeError(
      'store_unavailable',
      `The object store gave other bytes for ${key} than were stored there.`,
    );
  }
  return bytes;
}

const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
