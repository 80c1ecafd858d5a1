import { expect, test } from 'vitest';
import { describePending, type PendingActivity } from './pending-activity.ts';

const now = 1_000_000;
const waiting: PendingActivity = {
  attempt: 1,
  started: false,
  failure: null,
  nextAt: now - 50,
  heartbeat: null,
};

test.each<[string, PendingActivity, boolean, string | null]>([
  ['runs', { ...waiting, started: true }, true, null],
  ['not taken, node online', waiting, true, 'waits for node n to take it'],
  ['not taken, node away', waiting, false, 'waits for node n to come back'],
  [
    'between attempts',
    { ...waiting, attempt: 5, started: false, failure: 'MinIO refused the connection', nextAt: now + 7_400 },
    true,
    'attempt 4: MinIO refused the connection; next try in 8 s',
  ],
  [
    'next attempt is due, node away',
    { ...waiting, attempt: 5, started: false, failure: 'x', nextAt: now - 1 },
    false,
    'waits for node n to come back',
  ],
  [
    'tries again',
    { ...waiting, attempt: 2, started: true, failure: 'x', nextAt: null },
    true,
    'attempt 2 runs; the previous one failed: x',
  ],
])('%s', (_name, pending, online, expected) => {
  expect(describePending(pending, { node: 'n', online, now })).toBe(expected);
});
