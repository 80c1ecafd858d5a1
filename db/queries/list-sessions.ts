import { and, desc, eq, gt } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { browserSessions } from '../schema.ts';
import { entryAbout, type AuditBy, type NewAudit } from './record-audit.ts';

/** Characters of a session's hash that name it to people; the cookie cannot be computed from them. */
const ID_CHARS = 16;

/** What people and the audit log know a session by. */
export const sessionId = (idHash: string): string => idHash.slice(0, ID_CHARS);

/** The sessions that are good at `now` under the keys of today, the newest first. */
export async function listSessions(
  db: Database,
  input: { keysHash: string; now: number },
): Promise<(typeof browserSessions.$inferSelect)[]> {
  return await db.run((sql) =>
    sql
      .select()
      .from(browserSessions)
      .where(and(eq(browserSessions.keys_hash, input.keysHash), gt(browserSessions.expires_at, input.now)))
      .orderBy(desc(browserSessions.created_at)),
  );
}

/** Makes the entry of something that happened to a session. */
export const sessionEntry = (
  action: string,
  idHash: string,
  told: AuditBy & { readonly detail: string },
  timestamp: number,
): NewAudit => entryAbout({ type: 'session', id: sessionId(idHash) }, action, told, timestamp);
