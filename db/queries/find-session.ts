import { and, eq, gt } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { browserSessions } from '../schema.ts';

/**
 * Returns when the session with a cookie's hash ends (epoch milliseconds), or null when there is none at
 * `now`.
 */
export async function findSession(
  db: Database,
  input: { idHash: string; now: number },
): Promise<{ expiresAt: number } | null> {
  const [row] = await db.run((sql) =>
    sql
      .select({ expiresAt: browserSessions.expires_at })
      .from(browserSessions)
      .where(and(eq(browserSessions.id_hash, input.idHash), gt(browserSessions.expires_at, input.now))),
  );
  return row ?? null;
}
