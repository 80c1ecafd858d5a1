import { and, asc, eq, inArray } from 'drizzle-orm';
import { takesPart } from '../../contract/memory/taking-part.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { Database, Executor } from '../connect.ts';
import { nodes, spaceNodeSettings, spaces } from '../schema.ts';
import { toNodeSpaceConfig, type SpaceRow } from '../to-contract.ts';

/**
 * Returns every space that a node takes part in, with the node's own settings, by name.
 * @param input.allowed the spaces that its owner allows; undefined for all
 */
export async function listNodeSpaceConfigs(
  db: Database,
  input: { node: string; allowed: readonly string[] | undefined },
): Promise<SpaceConfig[]> {
  return await db.run(async (sql) => {
    const rows = await sql.select().from(spaces).orderBy(asc(spaces.name));
    const settings = await sql
      .select()
      .from(spaceNodeSettings)
      .where(eq(spaceNodeSettings.node_id, input.node));
    const members = await membersOf(sql, rows);
    const byCid = new Map(settings.map((row) => [row.cid, row]));
    return rows
      .filter((row) => takesPart(input.allowed, row))
      .map((row) => toNodeSpaceConfig(row, byCid.get(row.cid), members));
  });
}

/**
 * Returns one space's configuration for each of some nodes, by node. Leaves out nodes whose owners exclude
 * it; empty when the space is gone (deleted, renamed).
 */
export async function getNodeSpaceConfigs(
  db: Database,
  input: { cid: string; nodes: readonly string[] },
): Promise<Map<string, SpaceConfig>> {
  return await db.run(async (sql) => {
    const rows = await sql.select().from(spaces).where(eq(spaces.cid, input.cid));
    const [space] = rows;
    if (space === undefined || input.nodes.length === 0) return new Map();
    const settings = await sql
      .select()
      .from(spaceNodeSettings)
      .where(and(eq(spaceNodeSettings.cid, input.cid), inArray(spaceNodeSettings.node_id, [...input.nodes])));
    const members = await membersOf(sql, rows);
    const byNode = new Map(settings.map((row) => [row.node_id, row]));
    const told = await sql
      .select({ id: nodes.id, facts: nodes.facts })
      .from(nodes)
      .where(inArray(nodes.id, [...input.nodes]));
    const facts = new Map(told.map((row) => [row.id, row.facts]));
    return new Map(
      input.nodes
        .filter((node) => takesPart(facts.get(node)?.spaces, space))
        .map((node) => [node, toNodeSpaceConfig(space, byNode.get(node), members)] as const),
    );
  });
}

/** Returns the enrolled nodes, in order; queries them only if a space is encrypted. */
async function membersOf(sql: Executor, rows: readonly SpaceRow[]): Promise<string[]> {
  if (!rows.some((row) => row.encrypted)) return [];
  const enrolled = await sql.select({ id: nodes.id }).from(nodes).orderBy(asc(nodes.id));
  return enrolled.map((row) => row.id);
}
