import type { Traffic } from '../../contract/memory/memory.ts';
import type { StoreRoute } from '../../storage/store-route.ts';

/**
 * Accesses the original's objects. Unlike segments they have any size, so they are transferred from and to
 * files; and they are overwritten, or in the lock's case removed. Every call throws MembridgeError
 * store_unavailable or store_refused.
 */
export interface LegacyStore {
  /**
   * Returns the same store for work that must continue after a cancellation, with a time limit in
   * milliseconds.
   */
  detached(ms: number): LegacyStore;
  /** Requests and bytes so far. */
  readonly traffic: Traffic;
  /** Returns a small object as text, or null when there is none. */
  text(key: string): Promise<string | null>;
  /** Returns the ETag of an object, or null when there is none. */
  etag(key: string): Promise<string | null>;
  /**
   * Downloads an object to a file.
   * @returns its size and SHA-256 in hex, or null when there is none
   */
  download(key: string, path: string): Promise<{ size: number; sha: string } | null>;
  /**
   * Uploads a file as an object and checks that the store holds all of it.
   * @returns the new ETag
   */
  upload(key: string, path: string): Promise<string>;
  /** Writes a small object. */
  put(key: string, text: string): Promise<void>;
  remove(key: string): Promise<void>;
}

/**
 * Opens the store of the original's objects for one call.
 * @param signal ends what is in progress
 */
export type OpenLegacyStore = (access: StoreRoute, signal: AbortSignal) => LegacyStore;
