import { eq } from 'drizzle-orm';
import type { Node } from '../../contract/nodes/nodes.ts';
import type { Database } from '../connect.ts';
import { nodes } from '../schema.ts';
import { toNode } from '../to-contract.ts';

/** Returns a node, or null; `now` is the control plane's clock in epoch milliseconds. */
export async function getNode(db: Database, input: { id: string; now: number }): Promise<Node | null> {
  const [row] = await db.run((sql) => sql.select().from(nodes).where(eq(nodes.id, input.id)));
  return row === undefined ? null : toNode(row, input.now);
}
