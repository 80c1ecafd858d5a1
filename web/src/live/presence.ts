import { ONLINE_WITHIN_MS, ORIGINAL_WITHIN_MS, type Node } from '../../../contract/nodes/nodes.ts';

export type Presence = 'online' | 'offline' | 'unknown';

/**
 * Returns whether a node is online, by the contract's rule.
 * @param now the server's clock, in epoch milliseconds
 * @returns `unknown` for a node that never reported
 */
export function presenceOf(
  node: Pick<Node, 'last_heartbeat'> & Partial<Pick<Node, 'kind'>>,
  now: number,
): Presence {
  if (node.last_heartbeat === null) return 'unknown';
  const within = node.kind === 'original' ? ORIGINAL_WITHIN_MS : ONLINE_WITHIN_MS;
  return now - node.last_heartbeat <= within ? 'online' : 'offline';
}

/** Returns whether a node could get a task now: it is online, and nothing keeps it from tasks. */
export function takesTasks(node: Node, now: number): boolean {
  return node.standing.takes_tasks && presenceOf(node, now) === 'online';
}
