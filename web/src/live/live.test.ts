import { expect, it } from 'vitest';
import type { ServerEvent } from '../../../contract/events.ts';
import type { Job, MemberCounts, SpaceFacts, SpaceSummary } from '../../../contract/memory/memory.ts';
import { ONLINE_WITHIN_MS, type Node } from '../../../contract/nodes/nodes.ts';
import { applyToJobs, applyToNodes, applyToSpaces } from './apply-events.ts';
import { journal } from './journal.ts';
import { presenceOf } from './presence.ts';

const countsOf = (enrolled: number): MemberCounts => ({
  enrolled,
  busy: 0,
  new: enrolled,
  syncing: 0,
  'in-step': 0,
  failed: 0,
  held: 0,
  stale: 0,
});
const space = (name: string): SpaceFacts => ({
  canonical_id: '0123456789abcdef',
  name,
  projects: ['*'],
  excluded: [],
  aliases: [],
  redact: true,
  encrypted: false,
  mirror: false,
  created_at: 1,
});
const nobody = countsOf(0);
const listed = (name: string, members = nobody): SpaceSummary => ({ ...space(name), members });

it('keeps the same list when no event touches it', () => {
  const spaces = [listed('a')];
  expect(applyToSpaces(spaces, [{ type: 'node-removed', id: 'n' }])).toBe(spaces);
});

it('applies events in their order', () => {
  const events: ServerEvent[] = [
    { type: 'space', space: space('b') },
    { type: 'space-removed', canonical_id: space('b').canonical_id },
  ];
  expect(applyToSpaces([listed('a')], events)).toEqual([]);
  expect(applyToSpaces([listed('a')], events.toReversed())).toEqual([listed('b')]);
});

it('removes a job from every list when its row is deleted', () => {
  const job = { id: 'job_1', canonical_id: space('a').canonical_id, agent: 'n', created_at: 1 } as Job;
  const filter = { cid: space('a').canonical_id, node: null };
  expect(applyToJobs([job], [{ type: 'job-removed', id: 'job_1' }], filter)).toEqual([]);
  const told: ServerEvent[] = [
    { type: 'job', job },
    { type: 'job-removed', id: 'job_1' },
  ];
  const none: Job[] = [];
  expect(applyToJobs(none, told, filter)).toBe(none);
});

it('does not let a slow list undo an event that arrived during its request', async () => {
  const answer = Promise.withResolvers<SpaceSummary[]>();
  const list = journal.during(() => answer.promise, applyToSpaces);
  journal.note([{ type: 'space', space: space('new') }]);
  answer.resolve([listed('old', countsOf(3))]);
  expect(await list).toEqual([listed('new', countsOf(3))]);
});

it('updates a node with its heartbeat, and does not change the other nodes', () => {
  const node = (id: string) => ({ id, last_heartbeat: 1, status: 'offline', url: id }) as Node;
  const before = [node('a'), node('b')];
  const after = applyToNodes(before, [
    {
      type: 'heartbeats',
      nodes: [
        { id: 'a', at: 9 },
        { id: 'gone', at: 9 },
      ],
    },
  ]);
  expect(after).toEqual([{ ...node('a'), last_heartbeat: 9, status: 'online' }, node('b')]);
  expect(after[1]).toBe(before[1]);
});

it('shows a node as offline one millisecond after the contract’s limit', () => {
  expect(presenceOf({ last_heartbeat: 0 }, ONLINE_WITHIN_MS)).toBe('online');
  expect(presenceOf({ last_heartbeat: 0 }, ONLINE_WITHIN_MS + 1)).toBe('offline');
  expect(presenceOf({ last_heartbeat: null }, 0)).toBe('unknown');
});
