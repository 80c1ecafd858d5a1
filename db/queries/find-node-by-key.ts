import { eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { nodes } from '../schema.ts';

/** Returns the id of the node whose key has this SHA-256 (hex), or null. */
export async function findNodeByKey(db: Database, input: { keyHash: string }): Promise<string | null> {
  const [row] = await db.run((sql) =>
    sql.select({ id: nodes.id }).from(nodes).where(eq(nodes.key_hash, input.keyHash)),
  );
  return row?.id ?? null;
}

/**
 * Returns the public key that a node enrolled with (SPKI DER in base64), or null when there is no such node.
 */
export async function findNodePublicKey(db: Database, input: { node: string }): Promise<string | null> {
  const [row] = await db.run((sql) =>
    sql.select({ publicKey: nodes.public_key }).from(nodes).where(eq(nodes.id, input.node)),
  );
  return row?.publicKey ?? null;
}
