/** Bytes in the object store that are named by their SHA-256: immutable, and stored once however often they are referred to. */
import { createHash } from 'node:crypto';
import { MembridgeError } from '../contract/errors.ts';
import type { Blob } from '../contract/tasks/runs.ts';
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

/** Where bytes lie that retention took away, for a while. */
const ASIDE = 'expired-blobs/';
const asideKey = (sha256: string): string => `${ASIDE}${sha256}`;

/**
 * Takes bytes away, and keeps a copy aside for a while. Twice is the same as once.
 *
 * Why aside: a worker stores what it made first, and its task is recorded as completed later. Of a content that it shares with an
 * expired artifact the bytes may be removed between the two, and nobody could store them again. So whoever records a reference to a
 * content of which an artifact has expired brings them back with `restoreBlob`.
 * @throws MembridgeError store_unavailable, store_refused
 */
export async function setBlobAside(store: ObjectStore, sha256: string): Promise<void> {
  const bytes = await store.get(blobKey(sha256));
  if (bytes === null) return;
  await store.put(asideKey(sha256), bytes);
  await store.remove(blobKey(sha256));
}

/**
 * Brings bytes back that were set aside; those that are there are left alone.
 * @returns whether they are there now
 * @throws MembridgeError store_unavailable, store_refused
 */
export async function restoreBlob(store: ObjectStore, sha256: string): Promise<boolean> {
  if ((await store.get(blobKey(sha256))) !== null) return true;
  const bytes = await store.get(asideKey(sha256));
  if (bytes === null) return false;
  await store.put(blobKey(sha256), bytes);
  return true;
}

/**
 * Removes for good what was set aside before a time.
 * @param before epoch ms, by the store's clock
 * @returns how many
 */
export async function purgeAside(store: ObjectStore, before: number): Promise<number> {
  const old = (await store.list(ASIDE)).filter(({ modified }) => modified < before);
  for (const { key } of old) await store.remove(key);
  return old.length;
}

const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
