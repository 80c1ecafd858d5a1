import type { Node } from '../../../../contract/nodes/nodes.ts';

/** Returns whether every typed word occurs in the facts about a node. */
export function matchesNode(node: Node, typed: string): boolean {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const known = [
    node.id,
    node.hostname,
    node.os_info,
    node.agent_version,
    node.memory?.schema ?? '',
    ...node.ip_addrs,
  ]
    .join(' ')
    .toLowerCase();
  return words.every((word) => known.includes(word));
}
