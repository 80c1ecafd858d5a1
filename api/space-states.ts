import type { Space } from '../contract/memory.ts';
import type { Node } from '../contract/nodes.ts';
import { withState } from '../contract/sync-state.ts';
import { listNodes } from '../db/queries/list-nodes.ts';
import type { Deps } from './deps.ts';

/** Spaces with the state of each node as it is now: PostgreSQL keeps only what the last round came to. */
export async function withStates(
  { db, now }: Pick<Deps, 'db' | 'now'>,
  spaces: readonly Space[],
): Promise<Space[]> {
  const at = now();
  return statesOf(spaces, await listNodes(db, { now: at }), at);
}

/** The same, where the nodes are known. */
export function statesOf(spaces: readonly Space[], nodes: readonly Node[], now: number): Space[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  return spaces.map((space) => ({
    ...space,
    nodes: space.nodes.map((record) => withState(record, space, byId.get(record.node_id), now)),
  }));
}
