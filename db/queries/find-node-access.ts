import { inArray } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { nodes } from '../schema.ts';
import { servedPools } from '../to-contract.ts';

/** The access of a node's key. */
interface NodeAccessRow {
  readonly node: string;
  /** Pools that the node serves besides the default one. */
  readonly labels: string[];
}

/**
 * Finds the nodes that have these keys now, in one query.
 * @param input.keyHashes SHA-256 of each key, in hex
 * @returns by key hash, without keys that no node has
 */
export async function findNodeAccess(
  db: Database,
  input: { keyHashes: readonly string[] },
): Promise<ReadonlyMap<string, NodeAccessRow>> {
  const rows = await db.run((sql) =>
    sql
      .select({ keyHash: nodes.key_hash, id: nodes.id, facts: nodes.facts, pools: nodes.pools })
      .from(nodes)
      .where(inArray(nodes.key_hash, [...input.keyHashes])),
  );
  return new Map(rows.map(({ keyHash, id, ...row }) => [keyHash, { node: id, labels: servedPools(row) }]));
}
