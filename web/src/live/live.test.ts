import { expect, it } from 'vitest';
import type { ServerEvent } from '../../../contract/events.ts';
import type { Job, Space } from '../../../contract/memory.ts';
import { ONLINE_WITHIN_MS } from '../../../contract/nodes.ts';
import { applyToJobs, applyToSpaces } from './apply-events.ts';
import { journal } from './journal.ts';
import { presenceOf } from './presence.ts';

const space = (name: string): Space => ({
  canonical_id: '0123456789abcdef',
  name,
  projects: ['*'],
  excluded: [],
  aliases: [],
  redact: true,
  encrypted: false,
  mirror: false,
  settings: [],
  created_at: 1,
  nodes: [],
});

it('keeps the same list when no event touches it', () => {
  const spaces = [space('a')];
  expect(applyToSpaces(spaces, [{ type: 'node-removed', id: 'n' }])).toBe(spaces);
});

it('applies events in their order', () => {
  const events: ServerEvent[] = [
    { type: 'space', space: space('b') },
    { type: 'space-removed', canonical_id: space('b').canonical_id },
  ];
  expect(applyToSpaces([space('a')], events)).toEqual([]);
  expect(applyToSpaces([space('a')], events.toReversed())).toEqual([space('b')]);
});

it('takes a job away when its row is gone, whichever list it stands in', () => {
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

it('does not let a slow list undo an event that came meanwhile', async () => {
  const answer = Promise.withResolvers<Space[]>();
  const list = journal.during(() => answer.promise, applyToSpaces);
  journal.note([{ type: 'space', space: space('new') }]);
  answer.resolve([space('old')]);
  expect(await list).toEqual([space('new')]);
});

it('tells a node offline one millisecond after the contract’s limit', () => {
  expect(presenceOf({ last_heartbeat: 0 }, ONLINE_WITHIN_MS)).toBe('online');
  expect(presenceOf({ last_heartbeat: 0 }, ONLINE_WITHIN_MS + 1)).toBe('offline');
  expect(presenceOf({ last_heartbeat: null }, 0)).toBe('unknown');
});
