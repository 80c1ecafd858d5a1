import { eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { browserSessions } from '../schema.ts';

/** Ends a browser's session; one that has ended already is fine. */
export async function deleteSession(db: Database, input: { idHash: string }): Promise<void> {
  await db.run((sql) => sql.delete(browserSessions).where(eq(browserSessions.id_hash, input.idHash)));
}
