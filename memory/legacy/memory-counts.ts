import Database from 'better-sqlite3';
import { z } from 'zod';
import { SHAPES } from '../format/kinds.ts';
import type { Ledger } from '../ledger/ledger.ts';

const count = z.number().int().nonnegative();

/** Memories in the three tables that the original counts in its manifest. */
export const MemoryCounts = z.object({ observations: count, summaries: count, prompts: count });
export type MemoryCounts = z.infer<typeof MemoryCounts>;

export const NO_MEMORIES: MemoryCounts = { observations: 0, summaries: 0, prompts: 0 };
export const COUNTED = ['observations', 'summaries', 'prompts'] as const satisfies (keyof MemoryCounts)[];

/** What a snapshot in the store holds. claude-mem's own observer conversations are noise and do not count. */
export const Holding = z.object({
  sha: z.string(),
  /** Whether SQLite finds it sound, so that its counts are true. */
  isSound: z.boolean(),
  /** The database object's ETag when it was read or written: another one means that someone wrote it since. */
  etag: z.string().nullable(),
  counts: MemoryCounts,
  /** Those of `counts` that belong to claude-mem projects which the space does not cover. */
  outside: MemoryCounts,
  /** Names of such projects, a few of them. */
  projects: z.array(z.string()),
});
export type Holding = z.infer<typeof Holding>;

const NotedHolding = z.object({ terms: z.string(), holding: Holding });
const Published = z.object({ sha: z.string(), etag: z.string().nullable(), counts: MemoryCounts });

/**
 * What this node last put into the store, also without its digest. While `etag` is null nobody knows whether the upload
 * reached the store.
 */
export type Published = z.infer<typeof Published>;

/** Notes what the store's snapshot of a canonical id holds, as a space with these terms sees it. */
export function noteHolding(ledger: Ledger, cid: string, terms: string, holding: Holding): void {
  ledger.setMeta(`legacy:held:${cid}`, JSON.stringify({ terms, holding }));
}

/** What a snapshot of this digest holds; null when it was not looked at on these terms. */
export function readHolding(ledger: Ledger, cid: string, sha: string, terms: string): Holding | null {
  const noted = parseNote(NotedHolding, ledger.meta(`legacy:held:${cid}`));
  return noted !== null && noted.terms === terms && noted.holding.sha === sha ? noted.holding : null;
}

export function notePublished(ledger: Ledger, cid: string, published: Published): void {
  ledger.setMeta(`legacy:published:${cid}`, JSON.stringify(published));
}

/** What this node last published under a canonical id; null when it never did. */
export function readPublished(ledger: Ledger, cid: string): Published | null {
  return parseNote(Published, ledger.meta(`legacy:published:${cid}`));
}

/** Counts what can still be read of a database that may be damaged; null when it tells nothing. */
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
        // The damage is in this table.
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
