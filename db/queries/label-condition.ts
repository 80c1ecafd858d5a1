import { sql, type SQL } from 'drizzle-orm';
import { DEFAULT_POOL } from '../../contract/tasks/tasks.ts';
import { nodes } from '../schema.ts';

/** SQL for a node that runs tasks of a pool: it has the program, and the pool's label. */
export function labelCondition(pool: string): SQL {
  const runs = sql`(${nodes.facts}->'capabilities'->>'claude_cli')::boolean`;
  if (pool === DEFAULT_POOL) return runs;
  return sql`(${runs} and ${nodes.facts}->'capabilities'->'labels' @> ${JSON.stringify([pool])}::jsonb)`;
}
