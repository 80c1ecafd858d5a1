import { and, desc, eq, gt } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { browserSessions } from '../schema.ts';
import { auditEntry, type AuditBy, type NewAudit } from './record-audit.ts';

/** Characters of a session's hash that identify it for people; the cookie cannot be computed from them. */
const ID_CHARS = 16;

/** Returns the id under which people and the audit log know a session. */
export const sessionId = (idHash: string): string => idHash.slice(0, ID_CHARS);

/** Returns the sessions that are valid at `now` under the current keys, the newest first. */
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

/** Returns an audit entry about a session. */
export const sessionEntry = (
  action: string,
  idHash: string,
  told: AuditBy & { readonly detail: string },
  timestamp: number,
): NewAudit => auditEntry({ type: 'session', id: sessionId(idHash) }, action, told, timestamp);
