import { expect, test } from 'vitest';
import type { SyncRoundResult } from '../contract/workflows.ts';
import { finishedDetail } from './round-detail.ts';

const traffic = { requests: 1, bytesUp: 0, bytesDown: 0 };
const uncovered = { projects: ['site', 'garden'], more: 3 };

function round(rows: number, error: SyncRoundResult['error'] = null): SyncRoundResult {
  const push = { rows, segments: 0, head: null, uncovered, traffic, ms: 1 };
  return { jobIds: ['job'], push, pull: null, error, ms: 1 };
}

test('says what to set when a space covers nothing of a node’s database', () => {
  expect(finishedDetail(round(0))).toBe(
    'nothing to send: the space covers none of this node\'s claude-mem projects (site, garden and 3 more): add them to what it covers, or "*" for all of them',
  );
});

test('omits the hint for a round that failed or sent something', () => {
  expect(finishedDetail(round(0, { code: 'internal', message: 'broken' }))).toBe('broken');
  expect(finishedDetail(round(2))).toBe('sent 2 rows');
});
