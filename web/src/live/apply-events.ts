import type { ServerEvent } from '../../../contract/events.ts';
import type { Leadership } from '../../../contract/memory/leadership.ts';
import type { Job, MemberCounts, SpaceSummary } from '../../../contract/memory/memory.ts';
import type { Node } from '../../../contract/nodes/nodes.ts';
import { JOBS_SHOWN } from '../api/calls.ts';

/**
 * Applies events, in order, to the list of nodes.
 * @returns the same array when no event touches it, so that nothing is redrawn
 */
export function applyToNodes(nodes: Node[], events: readonly ServerEvent[]): Node[] {
  const touching = events.some(({ type }) => ['node', 'heartbeats', 'node-removed'].includes(type));
  if (!touching) return nodes;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (const event of events) {
    if (event.type === 'node') byId.set(event.node.id, event.node);
    if (event.type === 'node-removed') byId.delete(event.id);
    if (event.type !== 'heartbeats') continue;
    for (const { id, at } of event.nodes) {
      const node = byId.get(id);
      if (node !== undefined) byId.set(id, { ...node, last_heartbeat: at, status: 'online' });
    }
  }
  return [...byId.values()];
}

const NO_MEMBERS: MemberCounts = {
  enrolled: 0,
  busy: 0,
  new: 0,
  syncing: 0,
  'in-step': 0,
  failed: 0,
  held: 0,
  stale: 0,
};

/** Applies events, in order, to the list of spaces; returns the same array when no event touches it. */
export function applyToSpaces(spaces: SpaceSummary[], events: readonly ServerEvent[]): SpaceSummary[] {
  const touching = events.some(({ type }) => type === 'space' || type === 'space-removed');
  if (!touching) return spaces;
  const byId = new Map(spaces.map((space) => [space.canonical_id, space]));
  for (const event of events) {
    if (event.type === 'space') {
      const { canonical_id: cid } = event.space;
      // An event carries no counts: the former ones stay until they are requested again.
      byId.set(cid, { ...event.space, members: byId.get(cid)?.members ?? NO_MEMBERS });
    }
    if (event.type === 'space-removed') byId.delete(event.canonical_id);
  }
  return [...byId.values()];
}

/**
 * Applies events to a space's newest jobs, newest first and at most as many as the API returns.
 * @param filter which jobs the list holds: of one space, or of one node in it
 */
export function applyToJobs(
  jobs: Job[],
  events: readonly ServerEvent[],
  filter: { cid: string; node: string | null },
): Job[] {
  // The final state of each job; null when its row was deleted.
  const changed = new Map<string, Job | null>();
  for (const event of events) {
    if (event.type === 'job-removed') changed.set(event.id, null);
    if (event.type !== 'job') continue;
    const { job } = event;
    if (job.canonical_id !== filter.cid || (filter.node !== null && job.agent !== filter.node)) continue;
    changed.set(job.id, job);
  }
  const present = [...changed.values()].filter((job) => job !== null);
  const kept = jobs.filter((job) => !changed.has(job.id));
  if (present.length === 0 && kept.length === jobs.length) return jobs;
  return [...kept, ...present].sort((a, b) => b.created_at - a.created_at).slice(0, JOBS_SHOWN);
}

/** Applies events, in order, to the primary of a space; returns the same object when no event touches it. */
export function applyToLeadership(leadership: Leadership, events: readonly ServerEvent[]): Leadership {
  let current = leadership;
  for (const event of events) {
    if (event.type === 'leadership' && event.leadership.canonical_id === current.canonical_id) {
      current = event.leadership;
    }
  }
  return current;
}
