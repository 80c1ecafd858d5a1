import { lt } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { enrolmentTokens } from '../schema.ts';
import { newEventKey, recordAudit, type AuditBy } from './record-audit.ts';

/**
 * How long an expired token is still recognized, so that its holder learns why it fails: 30 days in
 * milliseconds.
 */
const KEEP_EXPIRED_MS = 30 * 86_400_000;

/** Records a one-time enrollment token by its hash; with `nodeId` null it enrolls a new node of any name. */
export async function createEnrolmentToken(
  db: Database,
  input: {
    tokenHash: string;
    nodeId: string | null;
    pools: string[];
    now: number;
    expiresAt: number;
    by: AuditBy;
  },
): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.delete(enrolmentTokens).where(lt(enrolmentTokens.expires_at, input.now - KEEP_EXPIRED_MS));
    await tx.insert(enrolmentTokens).values({
      token_hash: input.tokenHash,
      node_id: input.nodeId,
      created_at: input.now,
      expires_at: input.expiresAt,
      pools: input.pools,
    });
    // The start of the hash identifies the token: its holder and a reader of the log can both compute it.
    const id = input.tokenHash.slice(0, 12);
    await recordAudit(tx, [
      {
        eventKey: newEventKey('enrolment_token_created'),
        action: 'enrolment_token_created',
        entity_type: 'enrolment_token',
        entity_id: id,
        ...input.by,
        detail: `for ${input.nodeId ?? 'any new node'}, until ${new Date(input.expiresAt).toISOString()}${input.pools.length === 0 ? '' : `; pools ${input.pools.join(', ')}`}`,
        correlation_id: input.nodeId ?? id,
        timestamp: input.now,
      },
    ]);
  });
}
