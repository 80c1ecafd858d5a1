import type { Space, SpaceNode } from '../../../../contract/memory.ts';
import type { Node } from '../../../../contract/nodes.ts';
import { withState } from '../../../../contract/sync-state.ts';
import { byName } from '../../format/order.ts';

/** A node in a space: what it did there, and the node itself while it is enrolled. */
export interface Member {
  readonly record: SpaceNode;
  readonly node: Node | undefined;
}

/**
 * Every node of a space: all of the fleet takes part, also nodes that have not synced yet; a node that was removed
 * stays while the space has a record of it.
 * @returns sorted by name
 */
export function membersOf(space: Space, fleet: readonly Node[]): Member[] {
  const nodes = new Map(fleet.map((node) => [node.id, node]));
  const members: Member[] = space.nodes.map((record) => ({ record, node: nodes.get(record.node_id) }));
  for (const { node_id } of space.nodes) nodes.delete(node_id);
  for (const node of nodes.values()) members.push({ record: notYet(space.canonical_id, node.id), node });
  return members.sort((a, b) => byName(a.record.node_id, b.record.node_id));
}

/** A node's record in a space with the state that it has now: an event told of it some time ago. */
export function recordAt({ record, node }: Member, space: Space, now: number): SpaceNode {
  return withState(record, space, node, now);
}

/** How many nodes of a space are in step, of how many that are enrolled. */
export function inStep(
  members: readonly Member[],
  space: Space,
  now: number,
): { inStep: number; of: number } {
  const enrolled = members.filter(({ node }) => node !== undefined);
  const good = enrolled.filter((member) => recordAt(member, space, now).status === 'in-step');
  return { inStep: good.length, of: enrolled.length };
}

/** The same object each time, so that rows of nodes that have not synced are not drawn anew for nothing. */
const blanks = new Map<string, SpaceNode>();

function notYet(cid: string, node: string): SpaceNode {
  const key = `${cid} ${node}`;
  const known = blanks.get(key);
  if (known !== undefined) return known;
  const blank: SpaceNode = {
    canonical_id: cid,
    node_id: node,
    last_push_at: null,
    last_pull_at: null,
    head_epoch: null,
    head_seq: 0,
    rows_sent: 0,
    rows_received: 0,
    bytes_up: 0,
    bytes_down: 0,
    status: 'new',
    detail: '',
  };
  blanks.set(key, blank);
  return blank;
}
