import { z } from 'zod';
import type { RowCounts } from '../../contract/memory/memory.ts';
import type { MemoryCounts } from './memory-counts.ts';

/** Where the original keeps a project's whole-file snapshot, and the lock that its pushes take. */
export interface LegacyKeys {
  readonly database: string;
  readonly digest: string;
  readonly manifest: string;
  readonly lock: string;
}

/** The original's object keys for a canonical id. */
export function legacyKeys(cid: string): LegacyKeys {
  const root = `projects/${cid}`;
  return {
    database: `${root}/sqlite/claude-mem.db`,
    digest: `${root}/sqlite/claude-mem.db.sha256`,
    manifest: `${root}/sqlite/manifest.json`,
    lock: `${root}/locks/active.lock`,
  };
}

/** The sidecar as `sha256sum` and the original write it. */
export function formatDigest(sha: string): string {
  return `${sha}  claude-mem.db\n`;
}

/** The SHA-256 in hex that a sidecar states, read as the original reads it; null when it states none. */
export function parseDigest(text: string): string | null {
  const sha = text.trim().split(/\s+/)[0]?.toLowerCase() ?? '';
  return /^[0-9a-f]{64}$/.test(sha) ? sha : null;
}

/**
 * `manifest.json`: the original's fields, and two of ours. `timestamp` is ISO 8601; `tables` counts every table, SQLite's
 * own among them.
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
  /** What the snapshot says, whatever its bytes: equal on every node that would publish the same. */
  readonly membridge_content: string;
  /** How many memories fewer than the snapshot before a person agreed to; its presence says that this was looked at. */
  readonly membridge_fewer: number;
}

const text = z.string().optional().catch(undefined);
const count = z.number().int().nonnegative().optional().catch(undefined);

/**
 * What is read of a manifest; the original wrote it after the digest, so it may be of an earlier snapshot. A field that
 * makes no sense does not hide the others.
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

/** How many memories a manifest says that its snapshot holds. */
export function manifestCounts(manifest: ReadManifest): MemoryCounts {
  return {
    observations: manifest.observations ?? 0,
    summaries: manifest.session_summaries ?? 0,
    prompts: manifest.user_prompts ?? 0,
  };
}

/** A manifest as far as it is of use; null when it makes no sense. */
export function parseManifest(text: string): ReadManifest | null {
  try {
    return ReadManifest.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Under which name rows of a snapshot are filed: not a node's, for a node's has no colon. */
export function legacyNode(host: string | null): string {
  const name = (host ?? '').replaceAll(/[^A-Za-z0-9_.-]/g, '-').slice(0, 100);
  return `legacy:${name === '' ? 'unknown' : name}`;
}

/** `locks/active.lock`, with the original's fields; `timestamp` is in epoch seconds. */
const LockBody = z.object({ hostname: z.string(), timestamp: z.number(), token: z.string().optional() });
export type LockBody = z.infer<typeof LockBody>;

/** A lock as far as it is of use; null when it makes no sense, which to the original means that there is none. */
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
