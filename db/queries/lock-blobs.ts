import { sql } from 'drizzle-orm';
import type { Executor } from '../connect.ts';

/** The class of advisory locks that are taken per content; its second key is a hash of the SHA-256. */
const BLOB_LOCKS = 7_305_805;

/**
 * Takes the locks of some contents until the transaction ends. `shared` for whoever records that something refers to them; `alone`
 * for retention while it takes their bytes away. So retention never takes bytes away between a record's look at them and its commit,
 * and those who only record never wait for each other.
 * @param sha256s lower-case hex
 */
export async function lockBlobs(
  tx: Executor,
  sha256s: readonly string[],
  how: 'shared' | 'alone',
): Promise<void> {
  if (sha256s.length === 0) return;
  const lock = sql.raw(how === 'shared' ? 'pg_advisory_xact_lock_shared' : 'pg_advisory_xact_lock');
  // In one order everywhere, so that two who want several cannot wait for each other.
  const wanted = sql`select distinct hashtext(sha256) as key from jsonb_array_elements_text(${JSON.stringify(sha256s)}::jsonb) as given(sha256) order by key`;
  await tx.execute(sql`select ${lock}(${BLOB_LOCKS}::int, key) from (${wanted}) as wanted`);
}
