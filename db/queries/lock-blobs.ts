import { sql } from 'drizzle-orm';
import type { Executor } from '../connect.ts';

/** The class of advisory locks per content; the second key is a hash of the SHA-256. */
const BLOB_LOCKS = 7_305_805;

/**
 * Locks some contents until the transaction ends: `shared` for recording a reference to them, `alone` for
 * retention while it removes their bytes. So retention never removes bytes between a recorder's check and its
 * commit, and recorders never wait for each other.
 * @param sha256s lower-case hex
 */
export async function lockBlobs(
  tx: Executor,
  sha256s: readonly string[],
  how: 'shared' | 'alone',
): Promise<void> {
  if (sha256s.length === 0) return;
  const lock = sql.raw(how === 'shared' ? 'pg_advisory_xact_lock_shared' : 'pg_advisory_xact_lock');
  // Always in the same order, so that two transactions that need several locks cannot deadlock.
  const wanted = sql`select distinct hashtext(sha256) as key from jsonb_array_elements_text(${JSON.stringify(sha256s)}::jsonb) as given(sha256) order by key`;
  await tx.execute(sql`select ${lock}(${BLOB_LOCKS}::int, key) from (${wanted}) as wanted`);
}
