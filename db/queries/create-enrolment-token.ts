import { lt } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { enrolmentTokens } from '../schema.ts';
import { newEventKey, recordAudit, type AuditBy } from './record-audit.ts';

/** How long a token that has expired is still known, so that its holder is told why it fails: 30 days in ms. */
const KEEP_EXPIRED_MS = 30 * 86_400_000;

/** Records a one-time enrolment token by its hash; `nodeId` null lets it enrol a new node of any name. */
export async function createEnrolmentToken(
  db: Database,
  input: { tokenHash: string; nodeId: string | null; now: number; expiresAt: number; by: AuditBy },
): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.delete(enrolmentTokens).where(lt(enrolmentTokens.expires_at, input.now - KEEP_EXPIRED_MS));
    await tx.insert(enrolmentTokens).values({
      token_hash: input.tokenHash,
      node_id: input.nodeId,
      created_at: input.now,
      expires_at: input.expiresAt,
    });
    // The beginning of the hash names the token: its holder and the log's reader can both compute it.
    const id = input.tokenHash.slice(0, 12);
    await recordAudit(tx, [
      {
        eventKey: newEventKey('enrolment_token_created'),
        action: 'enrolment_token_created',
        entity_type: 'enrolment_token',
        entity_id: id,
        ...input.by,
        detail: `for ${input.nodeId ?? 'any new node'}, until ${new Date(input.expiresAt).toISOString()}`,
        correlation_id: input.nodeId ?? id,
        timestamp: input.now,
      },
    ]);
  });
}
