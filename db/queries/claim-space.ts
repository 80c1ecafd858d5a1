import { and, eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { spaces } from '../schema.ts';

/** Makes a space that came by a heartbeat one that a person made. Gives whether it was one of those. */
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
