import { expect, it } from 'vitest';
import type { Leadership, LeadershipEvent } from '../../../../contract/memory/leadership.ts';
import { countdown, eventWords, isExpired } from './lease.ts';

it('counts a lease down to zero, and never below', () => {
  const lengths = [-5, 0, 1, 59_000, 61_000, 3_600_000, 7_260_000, 180_000_000];
  expect(lengths.map(countdown)).toEqual([
    '0 s',
    '0 s',
    '1 s',
    '59 s',
    '1 min 1 s',
    '1 h 0 min',
    '2 h 1 min',
    '2 d 2 h',
  ]);
});

it('counts an active lease as expired at its exact end, and no other lease', () => {
  const lease = { status: 'active', expires_at: 10 } as Leadership;
  expect([9, 10, 11].map((now) => isExpired(lease, now))).toEqual([false, true, true]);
  expect(isExpired({ ...lease, status: 'needs_selection' }, 11)).toBe(false);
});

it('names the node whose lease expired, which the event itself lacks', () => {
  const selected: LeadershipEvent = {
    epoch: 2,
    at: 1,
    event: 'selected',
    primary_node_id: 'laptop',
    by: 'page',
  };
  const expired: LeadershipEvent = {
    ...selected,
    at: 2,
    event: 'expired',
    primary_node_id: null,
    by: 'engine',
  };
  expect(eventWords(expired, [expired, selected])).toBe('the lease of laptop expired');
  expect(eventWords(expired, [expired])).toBe('the lease expired');
});
