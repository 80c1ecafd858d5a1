import { lte } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { browserSessions } from '../schema.ts';

/** Records a signed-in browser by the hash of its cookie, and forgets sessions that have expired. */
export async function createSession(
  db: Database,
  input: { idHash: string; now: number; expiresAt: number },
): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.delete(browserSessions).where(lte(browserSessions.expires_at, input.now));
    await tx
      .insert(browserSessions)
      .values({ id_hash: input.idHash, created_at: input.now, expires_at: input.expiresAt });
  });
}
