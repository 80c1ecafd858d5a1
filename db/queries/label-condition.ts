import { sql, type SQL } from 'drizzle-orm';
import { DEFAULT_POOL } from '../../contract/tasks/tasks.ts';
import { nodes } from '../schema.ts';

/** SQL for a node that runs tasks of a pool: it has the program, asks for the pool, and may serve it. */
export function labelCondition(pool: string): SQL {
  const runs = sql`(${nodes.facts}->'capabilities'->>'claude_cli')::boolean`;
  if (pool === DEFAULT_POOL) return runs;
  const name = sql`${JSON.stringify([pool])}::jsonb`;
  return sql`(${runs} and ${nodes.facts}->'capabilities'->'labels' @> ${name} and ${nodes.pools} @> ${name})`;
}
