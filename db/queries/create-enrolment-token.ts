import { lt } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { enrolmentTokens } from '../schema.ts';

/** How long a token that has expired is still known, so that its holder is told why it fails: 30 days in ms. */
const KEEP_EXPIRED_MS = 30 * 86_400_000;

/** Records a one-time enrolment token by its hash; `nodeId` null lets it enrol a new node of any name. */
export async function createEnrolmentToken(
  db: Database,
  input: { tokenHash: string; nodeId: string | null; now: number; expiresAt: number },
): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.delete(enrolmentTokens).where(lt(enrolmentTokens.expires_at, input.now - KEEP_EXPIRED_MS));
    await tx.insert(enrolmentTokens).values({
      token_hash: input.tokenHash,
      node_id: input.nodeId,
      created_at: input.now,
      expires_at: input.expiresAt,
    });
  });
}
