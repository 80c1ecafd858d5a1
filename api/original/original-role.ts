import type { OriginalRole } from '../../contract/http/original.ts';
import { getLeadership } from '../../db/queries/record-leadership.ts';
import type { Deps } from '../deps.ts';

/**
 * Returns the role of a node in a project, as the answer to the original's heartbeat names it; unknown while there is
 * no primary.
 * @param input.cid the project's canonical id; node the reporting one
 */
export async function findOriginalRole(
  deps: Pick<Deps, 'db' | 'now'>,
  input: { cid: string; node: string },
): Promise<OriginalRole> {
  const known = await getLeadership(deps.db, { cid: input.cid, now: deps.now() });
  if (known === null || known.status !== 'active') return 'unknown';
  return known.primary_node_id === input.node ? 'primary' : 'secondary';
}
