import { eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { nodes } from '../schema.ts';
import { servedPools } from '../to-contract.ts';

/**
 * Returns the node whose key has this SHA-256 (hex), and its pools besides the default one; null when there
 * is none.
 */
export async function findNodeAccess(
  db: Database,
  input: { keyHash: string },
): Promise<{ node: string; labels: string[] } | null> {
  const [row] = await db.run((sql) =>
    sql
      .select({ id: nodes.id, facts: nodes.facts, pools: nodes.pools })
      .from(nodes)
      .where(eq(nodes.key_hash, input.keyHash)),
  );
  if (row === undefined) return null;
  return { node: row.id, labels: servedPools(row) };
}
