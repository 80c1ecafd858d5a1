import { lte } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { singleLine } from '../single-line.ts';
import { browserSessions } from '../schema.ts';
import { recordAudit } from './record-audit.ts';
import { sessionEntry } from './list-sessions.ts';

/** Maximum number of characters stored of a browser's name. */
const MAX_AGENT_CHARS = 300;

/**
 * Records a signed-in browser by the hash of its cookie, and deletes expired sessions.
 * @param input.keysHash a hash of the keys that the session is valid for
 */
export async function createSession(
  db: Database,
  input: {
    idHash: string;
    keysHash: string;
    address: string;
    userAgent: string;
    now: number;
    expiresAt: number;
  },
): Promise<void> {
  const { idHash, address, now } = input;
  const userAgent = singleLine(input.userAgent, MAX_AGENT_CHARS);
  await db.transaction(async (tx) => {
    await tx.delete(browserSessions).where(lte(browserSessions.expires_at, now));
    await tx.insert(browserSessions).values({
      id_hash: idHash,
      keys_hash: input.keysHash,
      address,
      user_agent: userAgent,
      created_at: now,
      expires_at: input.expiresAt,
    });
    const by = { actor: 'page', cause: 'a person signed in with the API key or the admin key' };
    const detail = `from ${address} with ${userAgent === '' ? 'an unnamed browser' : userAgent}`;
    await recordAudit(tx, [sessionEntry('signed_in', idHash, { ...by, detail }, now)]);
  });
}
