import { eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { nodes } from '../schema.ts';

/** Returns whether a node's agent is of a version that answers calls of people. */
export async function answersCalls(db: Database, input: { id: string }): Promise<boolean> {
  const [row] = await db.run((sql) =>
    sql.select({ facts: nodes.facts }).from(nodes).where(eq(nodes.id, input.id)),
  );
  return row?.facts.answers_calls === true;
}
