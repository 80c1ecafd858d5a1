import { and, eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { spaces } from '../schema.ts';

/**
 * Turns a space that came from a heartbeat into one that a person created. Returns whether it was one of
 * those.
 */
export async function claimSpace(db: Database, input: { cid: string }): Promise<boolean> {
  const claimed = await db.run((sql) =>
    sql
      .update(spaces)
      .set({ source: 'manual' })
      .where(and(eq(spaces.cid, input.cid), eq(spaces.source, 'heartbeat')))
      .returning({ cid: spaces.cid }),
  );
  return claimed.length > 0;
}
