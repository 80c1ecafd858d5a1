import Database from 'better-sqlite3';
import { z } from 'zod';
import { SHAPES } from '../format/kinds.ts';
import type { Ledger } from '../ledger/ledger.ts';

const count = z.number().int().nonnegative();

/** Number of memories in the three tables that the original counts in its manifest. */
export const MemoryCounts = z.object({ observations: count, summaries: count, prompts: count });
export type MemoryCounts = z.infer<typeof MemoryCounts>;

export const NO_MEMORIES: MemoryCounts = { observations: 0, summaries: 0, prompts: 0 };
export const COUNTED = ['observations', 'summaries', 'prompts'] as const satisfies (keyof MemoryCounts)[];

/** The contents of a snapshot in the store, without claude-mem's own observer conversations. */
export const Holding = z.object({
  sha: z.string(),
  /** Whether SQLite finds it intact, so that its counts are reliable. */
  isSound: z.boolean(),
  /**
   * The database object's ETag when it was read or written; a different one means that it was overwritten
   * since.
   */
  etag: z.string().nullable(),
  counts: MemoryCounts,
  /** The share of `counts` in claude-mem projects that the space does not cover. */
  outside: MemoryCounts,
  /** A few names of such projects. */
  projects: z.array(z.string()),
});
export type Holding = z.infer<typeof Holding>;

const NotedHolding = z.object({ terms: z.string(), holding: Holding });
const Published = z.object({ sha: z.string(), etag: z.string().nullable(), counts: MemoryCounts });

/**
 * This node's last upload, even if its digest is missing. While `etag` is null, it is unknown whether the
 * upload arrived.
 */
export type Published = z.infer<typeof Published>;

/** Records the contents of a canonical id's stored snapshot, as a space with these terms sees it. */
export function noteHolding(ledger: Ledger, cid: string, terms: string, holding: Holding): void {
  ledger.setMeta(`legacy:held:${cid}`, JSON.stringify({ terms, holding }));
}

/** Returns the contents of the snapshot with this digest; null when it was not examined on these terms. */
export function readHolding(ledger: Ledger, cid: string, sha: string, terms: string): Holding | null {
  const noted = parseNote(NotedHolding, ledger.meta(`legacy:held:${cid}`));
  return noted !== null && noted.terms === terms && noted.holding.sha === sha ? noted.holding : null;
}

export function notePublished(ledger: Ledger, cid: string, published: Published): void {
  ledger.setMeta(`legacy:published:${cid}`, JSON.stringify(published));
}

/** Returns what this node last published under a canonical id; null when it never did. */
export function readPublished(ledger: Ledger, cid: string): Published | null {
  return parseNote(Published, ledger.meta(`legacy:published:${cid}`));
}

/** Counts what is still readable in a possibly damaged database; null when nothing is. */
export function countReadable(path: string): MemoryCounts | null {
  let db: Database.Database;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true });
  } catch {
    return null;
  }
  try {
    const tables = { observations: 'observation', summaries: 'summary', prompts: 'prompt' } as const;
    const counts = { ...NO_MEMORIES };
    let isReadable = false;
    for (const table of COUNTED) {
      try {
        const sql = `SELECT count(*) FROM ${SHAPES[tables[table]].table}`;
        counts[table] = db.prepare(sql).pluck().get() as number;
        isReadable = true;
      } catch {
        // This table is the damaged one.
      }
    }
    return isReadable ? counts : null;
  } finally {
    db.close();
  }
}

function parseNote<T>(schema: z.ZodType<T>, note: string | number | null): T | null {
  if (typeof note !== 'string') return null;
  const parsed = schema.safeParse(JSON.parse(note));
  return parsed.success ? parsed.data : null;
}
