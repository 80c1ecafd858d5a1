import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { WavePage } from '../../contract/workflows.ts';
import type { Database } from '../connect.ts';
import { getSpace } from './get-space.ts';
import { listLiveNodes } from './list-live-nodes.ts';
import { getNodeSpaceConfigs } from './node-space-configs.ts';

/** Nodes per page: their names make an event of less than 1 KB. */
const PAGE_NODES = 40;

/**
 * Returns one page of the nodes that a wave serves, by name, each with its configuration of the space.
 * @param input.only these nodes, live or not; null for those whose last heartbeat is at most `withinMs` old
 * at `now` (epoch milliseconds)
 * @param input.after the last node of the previous page; empty for the first page
 */
export async function planWave(
  db: Database,
  input: { cid: string; only: readonly string[] | null; after: string; withinMs: number; now: number },
): Promise<WavePage> {
  const { cid, only, after } = input;
  // Sorted here, because PostgreSQL may order names differently than `>` below.
  const all = [...(only ?? (await listLiveNodes(db, input)))].sort();
  const rest = all.filter((node) => node > after);
  const nodes = rest.slice(0, PAGE_NODES);
  const configs = await getNodeSpaceConfigs(db, { cid, nodes });
  const groups = new Map<string, { space: SpaceConfig; nodes: string[] }>();
  for (const [node, space] of configs) {
    const text = JSON.stringify(space);
    const group = groups.get(text);
    if (group === undefined) groups.set(text, { space, nodes: [node] });
    else group.nodes.push(node);
  }
  return {
    groups: [...groups.values()],
    members: all.length,
    next: rest.length > PAGE_NODES ? (nodes.at(-1) ?? null) : null,
    // If no node takes part, the space may not exist.
    isGone: configs.size === 0 && (await getSpace(db, { cid })) === null,
  };
}
