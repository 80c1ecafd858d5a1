/**
 * Bytes in the object store that are named by their SHA-256: immutable, and stored once for any number of
 * references.
 */
import { createHash } from 'node:crypto';
import { MembridgeError } from '../contract/errors.ts';
import type { Blob } from '../contract/tasks/runs.ts';
import type { ObjectStore } from './object-store.ts';

/** Returns the key of the bytes with a SHA-256 (lower-case hex). */
export const blobKey = (sha256: string): string => `blobs/${sha256.slice(0, 2)}/${sha256}`;

/**
 * Stores bytes. Storing the same bytes again changes nothing.
 * @returns a reference to them
 * @throws MembridgeError store_unavailable, store_refused
 */
export async function putBlob(store: ObjectStore, bytes: Buffer): Promise<Blob> {
  const blob: Blob = { sha256: sha256Of(bytes), bytes: bytes.length };
  await store.put(blobKey(blob.sha256), bytes);
  return blob;
}

/**
 * Returns the bytes of a reference, verified against it.
 * @throws MembridgeError not_found when the store has none; store_unavailable when it returns other bytes;
 * store_refused
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
      `The object store returned different bytes for ${key} than were stored.`,
    );
  }
  return bytes;
}

/** Where retention keeps removed bytes for a while. */
const EXPIRED_PREFIX = 'expired-blobs/';
const asideKey = (sha256: string): string => `${EXPIRED_PREFIX}${sha256}`;

/**
 * Moves bytes aside, where they stay for a while. Idempotent.
 *
 * Why not delete them: a worker stores its output before its task is recorded as completed. If an expired
 * artifact has the same content, retention could remove the bytes between the two, and no one could store
 * them again. Therefore, code that records a reference to such content restores it with `restoreBlob`.
 * @throws MembridgeError store_unavailable, store_refused
 */
export async function setBlobAside(store: ObjectStore, sha256: string): Promise<void> {
  const bytes = await store.get(blobKey(sha256));
  if (bytes === null) return;
  await store.put(asideKey(sha256), bytes);
  await store.remove(blobKey(sha256));
}

/**
 * Restores bytes that were set aside; leaves existing ones alone.
 * @returns whether they exist now
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
 * Deletes what was set aside before a time.
 * @param before epoch milliseconds, by the store's clock
 * @returns how many
 */
export async function purgeAside(store: ObjectStore, before: number): Promise<number> {
  const old = (await store.list(EXPIRED_PREFIX)).filter(({ modified }) => modified < before);
  for (const { key } of old) await store.remove(key);
  return old.length;
}

const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
