import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ServerEvent } from '../../../contract/events.ts';
import { JOB_STATUSES } from '../format/words.ts';
import { parseTolerantly } from './parse.ts';

const Row = z.strictObject({
  id: z.string(),
  status: z.enum(['good', 'bad']),
  parts: z.array(z.strictObject({ state: z.enum(['on', 'off']) })).default([]),
});

describe('a word that is unknown to the page', () => {
  it('is kept as received, at any depth, and does not affect other rows', () => {
    const rows = [
      { id: 'a', status: 'good' },
      { id: 'b', status: 'paused', parts: [{ state: 'on' }, { state: 'dimmed' }] },
    ];
    const result = parseTolerantly(z.array(Row), rows);
    expect(result.data).toEqual([
      { id: 'a', status: 'good', parts: [] },
      { id: 'b', status: 'paused', parts: [{ state: 'on' }, { state: 'dimmed' }] },
    ]);
    expect(rows[1]?.status).toBe('paused');
  });

  it('is kept in an event, too', () => {
    const event = { type: 'space-node', node: { ...spaceNode, status: 'resting' } };
    expect(parseTolerantly(ServerEvent, event).data).toEqual(event);
  });

  it('is shown as it is, without a color', () => {
    expect((JOB_STATUSES as Record<string, unknown>)['paused']).toEqual({ label: 'paused', tone: 'quiet' });
    expect(Object.keys(JOB_STATUSES)).not.toContain('paused');
  });
});

it.each([
  [{ id: 5, status: 'good' }],
  [{ id: 'a', status: 5 }],
  [{ id: 'a' }],
  [{ id: 5, status: 'paused' }],
  [null],
])('refuses %j for another error', (row) => {
  expect(parseTolerantly(Row, row).success).toBe(false);
});

const spaceNode = {
  canonical_id: '0123456789abcdef',
  node_id: 'laptop',
  last_push_at: null,
  last_pull_at: null,
  head_epoch: null,
  head_seq: 0,
  rows_sent: 0,
  rows_received: 0,
  bytes_up: 0,
  bytes_down: 0,
  detail: '',
};
