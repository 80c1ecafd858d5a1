import type {
  ListMembers,
  MemberCounts,
  MembersPage,
  Space,
  SpaceMember,
  SpaceNode,
  SpaceSummary,
} from '../../contract/memory/memory.ts';
import { ONLINE_WITHIN_MS, type Node } from '../../contract/nodes/nodes.ts';
import { withState } from '../../contract/memory/sync-state.ts';
import { listNodes } from '../../db/queries/list-nodes.ts';
import { listSpaceFacts, listSpaces } from '../../db/queries/list-spaces.ts';
import type { Database } from '../../db/connect.ts';
import { keptAnswer } from '../http/kept-answer.ts';

/** Where spaces are read from, and the clock in epoch milliseconds. */
interface Reading {
  readonly db: Database;
  readonly now: () => number;
}

/** Returns spaces with the present status of each node. PostgreSQL stores only the result of the last round. */
export async function withStates({ db, now }: Reading, spaces: readonly Space[]): Promise<Space[]> {
  const at = now();
  return statesOf(spaces, await listNodes(db, { now: at }), at);
}

/** Does the same with nodes that the caller has read. */
export function statesOf(spaces: readonly Space[], nodes: readonly Node[], now: number): Space[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  return spaces.map((space) => ({
    ...space,
    nodes: space.nodes.map((record) => withState(record, space, byId.get(record.node_id), now)),
  }));
}

/** The statuses of members, worst first. */
const WORST_FIRST = ['failed', 'held', 'stale', 'new', 'syncing', 'in-step'] as const;
const names = new Intl.Collator('en', { numeric: true });

/** Returns every node of a space with its present status: all enrolled nodes, and removed ones that left a record. */
export function membersOf(space: Space, nodes: readonly Node[], now: number): SpaceMember[] {
  const records = new Map(space.nodes.map((record) => [record.node_id, record]));
  const settings = new Map(space.settings.map((each) => [each.node_id, each]));
  const member = (record: SpaceNode, node: Node | undefined): SpaceMember => ({
    record: withState(record, space, node, now),
    enrolled: node !== undefined,
    last_heartbeat: node?.last_heartbeat ?? null,
    settings: settings.get(record.node_id) ?? null,
  });
  const enrolled = nodes.map((node) =>
    member(records.get(node.id) ?? notYet(space.canonical_id, node.id), node),
  );
  const known = new Set(nodes.map(({ id }) => id));
  const removed = space.nodes.filter(({ node_id }) => !known.has(node_id));
  return [...enrolled, ...removed.map((record) => member(record, undefined))];
}

/** Counts members by status. */
export function countMembers(members: readonly SpaceMember[], now: number): MemberCounts {
  const counts = { enrolled: 0, busy: 0, new: 0, syncing: 0, 'in-step': 0, failed: 0, held: 0, stale: 0 };
  for (const { record, enrolled, last_heartbeat: heardAt } of members) {
    if (!enrolled) continue;
    counts.enrolled += 1;
    counts[record.status] += 1;
    const isOnline = heardAt !== null && now - heardAt <= ONLINE_WITHIN_MS;
    if (record.status === 'syncing' && isOnline) counts.busy += 1;
  }
  return counts;
}

/** Returns a page of a space's members. */
export function membersPage(
  space: Space,
  nodes: readonly Node[],
  query: ListMembers,
  now: number,
): MembersPage {
  const members = membersOf(space, nodes, now);
  const { node, q = '', status, sort, offset, limit } = query;
  const text = q.toLowerCase();
  const found = members.filter(
    ({ record }) =>
      (node === undefined || record.node_id === node) &&
      (status === undefined || record.status === status) &&
      record.node_id.toLowerCase().includes(text),
  );
  const key = ({ record }: SpaceMember): number => {
    if (sort === 'status') return WORST_FIRST.indexOf(record.status);
    return sort === 'last_pull' ? (record.last_pull_at ?? 0) : 0;
  };
  found.sort((a, b) => key(a) - key(b) || names.compare(a.record.node_id, b.record.node_id));
  return {
    total: found.length,
    members: countMembers(members, now),
    rows: found.slice(offset, offset + limit),
  };
}

/** Returns every space, by name, with counts of its members. With many spaces, the counts may be a moment old. */
export async function spaceSummaries(deps: Reading): Promise<SpaceSummary[]> {
  const spaces = await listSpaceFacts(deps.db);
  const counting = keptAnswer(deps.db, 'members', () => countAll(deps));
  const counts = await counting.get((known) => spaces.every(({ canonical_id: cid }) => known.has(cid)));
  const none = countMembers([], 0);
  return spaces.map((space) => ({ ...space, members: counts.get(space.canonical_id) ?? none }));
}

async function countAll({ db, now }: Reading): Promise<Map<string, MemberCounts>> {
  const at = now();
  const [spaces, nodes] = await Promise.all([listSpaces(db), listNodes(db, { now: at })]);
  return new Map(spaces.map((space) => [space.canonical_id, countMembers(membersOf(space, nodes, at), at)]));
}

const notYet = (cid: string, node: string): SpaceNode => ({
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
});
