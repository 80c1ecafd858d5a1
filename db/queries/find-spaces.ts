import { and, asc, eq, inArray, type SQL } from 'drizzle-orm';
import type { Space, SpaceNode } from '../../contract/memory/memory.ts';
import type { Executor } from '../connect.ts';
import { spaceNodes, spaceNodeSettings, spaces } from '../schema.ts';
import { toSpace, toSpaceNode } from '../to-contract.ts';

/**
 * Returns the spaces that match a condition, by name, each with its nodes and their settings; for queries of
 * this folder.
 */
export async function findSpaces(executor: Executor, where?: SQL): Promise<Space[]> {
  const rows = await executor.select().from(spaces).where(where).orderBy(asc(spaces.name));
  if (rows.length === 0) return [];
  const cids = rows.map((row) => row.cid);
  const nodeRows = await executor
    .select()
    .from(spaceNodes)
    .where(inArray(spaceNodes.cid, cids))
    .orderBy(asc(spaceNodes.node_id));
  const settingsRows = await executor
    .select()
    .from(spaceNodeSettings)
    .where(inArray(spaceNodeSettings.cid, cids))
    .orderBy(asc(spaceNodeSettings.node_id));
  const nodesOf = Map.groupBy(nodeRows, (row) => row.cid);
  const settingsOf = Map.groupBy(settingsRows, (row) => row.cid);
  return rows.map((row) => toSpace(row, nodesOf.get(row.cid) ?? [], settingsOf.get(row.cid) ?? []));
}

/** Returns the records of some nodes in a space. Leaves out a node without a record. */
export async function findSpaceNodes(
  executor: Executor,
  cid: string,
  nodes: readonly string[],
): Promise<SpaceNode[]> {
  const rows = await executor
    .select()
    .from(spaceNodes)
    .where(and(eq(spaceNodes.cid, cid), inArray(spaceNodes.node_id, [...nodes])));
  return rows.map(toSpaceNode);
}
