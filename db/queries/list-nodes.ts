import { asc } from 'drizzle-orm';
import type { Node } from '../../contract/nodes/nodes.ts';
import type { Database } from '../connect.ts';
import { nodes } from '../schema.ts';
import { toNode } from '../to-contract.ts';

/** Returns every node by id; `now` is the control plane's clock in epoch milliseconds. */
export async function listNodes(db: Database, input: { now: number }): Promise<Node[]> {
  const rows = await db.run((sql) => sql.select().from(nodes).orderBy(asc(nodes.id)));
  return rows.map((row) => toNode(row, input.now));
}
