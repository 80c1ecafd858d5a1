import { z } from 'zod';
import type { RowCounts } from '../../contract/memory/memory.ts';
import type { MemoryCounts } from './memory-counts.ts';

/** Where the original keeps a project's whole-file snapshot, and its push lock. */
export interface LegacyKeys {
  readonly database: string;
  readonly digest: string;
  readonly manifest: string;
  readonly lock: string;
}

/** Returns the original's object keys for a canonical id. */
export function legacyKeys(cid: string): LegacyKeys {
  const root = `projects/${cid}`;
  return {
    database: `${root}/sqlite/claude-mem.db`,
    digest: `${root}/sqlite/claude-mem.db.sha256`,
    manifest: `${root}/sqlite/manifest.json`,
    lock: `${root}/locks/active.lock`,
  };
}

/** Formats the digest file as `sha256sum` and the original write it. */
export function formatDigest(sha: string): string {
  return `${sha}  claude-mem.db\n`;
}

/** Returns the SHA-256 in hex from a digest file, parsed as the original does; null when there is none. */
export function parseDigest(text: string): string | null {
  const sha = text.trim().split(/\s+/)[0]?.toLowerCase() ?? '';
  return /^[0-9a-f]{64}$/.test(sha) ? sha : null;
}

/**
 * `manifest.json`: the original's fields, and two of ours. `timestamp` is ISO 8601; `tables` counts every
 * table, including SQLite's own.
 */
export interface LegacyManifest {
  readonly project: string;
  readonly canonical_id: string;
  readonly timestamp: string;
  readonly source_host: string;
  readonly db_size: number;
  readonly sha256: string;
  readonly observations: number;
  readonly session_summaries: number;
  readonly user_prompts: number;
  readonly tables: number;
  /**
   * Digest of the memories, independent of the file's bytes: equal on every node that would publish the same.
   */
  readonly membridge_content: string;
  /** How many fewer memories a person agreed to. If the field is present, the publication was checked. */
  readonly membridge_fewer: number;
}

const text = z.string().optional().catch(undefined);
const count = z.number().int().nonnegative().optional().catch(undefined);

/**
 * The manifest fields that are read. The original writes the manifest after the digest, so it may belong to
 * an earlier snapshot. An invalid field does not hide the others.
 */
const ReadManifest = z.object({
  sha256: text,
  source_host: text,
  observations: count,
  session_summaries: count,
  user_prompts: count,
  membridge_content: text,
  membridge_fewer: count,
});
export type ReadManifest = z.infer<typeof ReadManifest>;

/** Returns how many memories a manifest states. */
export function manifestCounts(manifest: ReadManifest): MemoryCounts {
  return {
    observations: manifest.observations ?? 0,
    summaries: manifest.session_summaries ?? 0,
    prompts: manifest.user_prompts ?? 0,
  };
}

/** Parses the usable fields of a manifest; null when it is malformed. */
export function parseManifest(text: string): ReadManifest | null {
  try {
    return ReadManifest.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Returns the writer name for a snapshot's rows. It contains a colon, so it is never a node's name. */
export function legacyNode(host: string | null): string {
  const name = (host ?? '').replaceAll(/[^A-Za-z0-9_.-]/g, '-').slice(0, 100);
  return `legacy:${name === '' ? 'unknown' : name}`;
}

/** `locks/active.lock` with the original's fields; `timestamp` is in epoch seconds. */
const LockBody = z.object({ hostname: z.string(), timestamp: z.number(), token: z.string().optional() });
export type LockBody = z.infer<typeof LockBody>;

/** Parses a lock; null when it is malformed, which the original treats as no lock. */
export function parseLock(text: string): LockBody | null {
  try {
    return LockBody.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Rows and tables of a snapshot. */
export interface SnapshotCounts extends RowCounts {
  readonly tables: number;
}
