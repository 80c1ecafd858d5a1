import { desc, eq, sql, type SQL } from 'drizzle-orm';
import type { RetiredKey } from '../../contract/memory/membership.ts';
import type { Database, Executor } from '../connect.ts';
import { retiredKeys } from '../schema.ts';
import { newEventKey, recordAudit, type AuditBy } from './record-audit.ts';

/** SQL for the id of a public key (SPKI DER in base64): the first 16 hex digits of SHA-256 over its DER. */
const keyIdSql = (publicKey: string): SQL<string> =>
  sql`left(encode(sha256(decode(${publicKey}, 'base64')), 'hex'), 16)`;

/**
 * Records that a node's key no longer signs.
 * @param key.publicKey SPKI DER in base64
 */
export async function retireKey(
  tx: Executor,
  key: { node: string; publicKey: string },
  now: number,
): Promise<void> {
  await tx
    .insert(retiredKeys)
    .values({ key_id: keyIdSql(key.publicKey), node_id: key.node, until: now })
    .onConflictDoUpdate({ target: retiredKeys.key_id, set: { until: sql`excluded.until` } });
}

/** Records that a key signs again, because its machine enrolled again with it. */
export async function reviveKey(tx: Executor, publicKey: string): Promise<void> {
  await tx.delete(retiredKeys).where(eq(retiredKeys.key_id, keyIdSql(publicKey)));
}

/** Returns the retired keys, the latest first. */
export async function listRetiredKeys(db: Database): Promise<RetiredKey[]> {
  return await db.run((executor) => executor.select().from(retiredKeys).orderBy(desc(retiredKeys.until)));
}

/**
 * Sets the time by which the store must have received what a retired key signed.
 * @returns the key's node, or null when there is no such retired key
 */
export async function moveRetirement(
  db: Database,
  input: { keyId: string; until: number; by: AuditBy; now: number },
): Promise<string | null> {
  return await db.transaction(async (tx) => {
    const [row] = await tx
      .update(retiredKeys)
      .set({ until: input.until })
      .where(eq(retiredKeys.key_id, input.keyId))
      .returning({ node: retiredKeys.node_id });
    if (row === undefined) return null;
    await recordAudit(tx, [
      {
        eventKey: newEventKey('retired_key_changed'),
        action: 'retired_key_changed',
        entity_type: 'worker',
        entity_id: row.node,
        ...input.by,
        detail: `what key ${input.keyId} of ${row.node} signed is good until ${new Date(input.until).toISOString()}`,
        correlation_id: row.node,
        timestamp: input.now,
      },
    ]);
    return row.node;
  });
}
