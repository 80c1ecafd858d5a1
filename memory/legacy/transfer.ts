import type { Traffic } from '../../contract/memory/memory.ts';
import type { StoreRoute } from '../../storage/store-route.ts';

/**
 * The original's objects. Unlike segments they may be of any size, so they go from and to files; and unlike segments they
 * are written over and, the lock, removed. Every call throws MembridgeError store_unavailable or store_refused.
 */
export interface LegacyStore {
  /** The same store for work that must be done although the call was called off: for so many milliseconds. */
  detached(ms: number): LegacyStore;
  /** Requests and bytes so far. */
  readonly traffic: Traffic;
  /** A small object as text, or null when there is none. */
  text(key: string): Promise<string | null>;
  /** The ETag of an object, or null when there is none. */
  etag(key: string): Promise<string | null>;
  /** Fetches an object into a file. @returns its size and SHA-256 in hex, or null when there is none */
  download(key: string, path: string): Promise<{ size: number; sha: string } | null>;
  /** Puts a file in the place of an object and checks that the store holds all of it. @returns the new ETag */
  upload(key: string, path: string): Promise<string>;
  /** Puts a small object. */
  put(key: string, text: string): Promise<void>;
  remove(key: string): Promise<void>;
}

/** Opens the store of the original's objects for one call. @param signal ends what is under way */
export type OpenLegacyStore = (access: StoreRoute, signal: AbortSignal) => LegacyStore;
