import { and, eq, ne, sql, type SQL } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { browserSessions } from '../schema.ts';
import { sessionEntry } from './list-sessions.ts';
import { recordAudit, type AuditBy } from './record-audit.ts';

/** Which sessions to end: one by the hash of its cookie or by its id, or all except perhaps one. */
export type SessionChoice = { idHash: string } | { id: string } | { allBut: string | null };

/**
 * Ends browser sessions; ignores those that have ended already.
 * @returns how many ended
 */
export async function deleteSessions(
  db: Database,
  input: { which: SessionChoice; by: AuditBy; now: number },
): Promise<number> {
  return await db.transaction(async (tx) => {
    const ended = await tx
      .delete(browserSessions)
      .where(sessionCondition(input.which))
      .returning({ idHash: browserSessions.id_hash, address: browserSessions.address });
    const action = 'idHash' in input.which ? 'signed_out' : 'session_ended';
    await recordAudit(
      tx,
      ended.map(({ idHash, address }) =>
        sessionEntry(action, idHash, { ...input.by, detail: `the session from ${address}` }, input.now),
      ),
    );
    return ended.length;
  });
}

function sessionCondition(which: SessionChoice): SQL | undefined {
  if ('idHash' in which) return eq(browserSessions.id_hash, which.idHash);
  if ('id' in which) return eq(sql`left(${browserSessions.id_hash}, ${which.id.length})`, which.id);
  return and(which.allBut === null ? undefined : ne(browserSessions.id_hash, which.allBut));
}
