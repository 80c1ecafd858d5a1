import { describe, expect, it } from 'vitest';
import { TaskStatus } from '../../../contract/tasks/tasks.ts';
import {
  actionWords,
  shortenPrompt,
  findPossibleActions,
  taskWords,
  taskTitle,
  formatUsd,
} from './task-words.ts';

const task = (status: TaskStatus, part: { dispatched?: boolean; cancel?: number } = {}) => ({
  status,
  dispatched: part.dispatched ?? true,
  cancel_requested_at: part.cancel ?? null,
});

describe('the status of a task in words', () => {
  it('adds what the status leaves open', () => {
    expect(taskWords(task('queued', { dispatched: false }))).toMatchObject({
      label: 'Queued',
      note: 'not dispatched',
    });
    expect(taskWords(task('running', { cancel: 5 }))).toMatchObject({ label: 'Cancelling', note: 'Running' });
    expect(taskWords(task('cancelled', { cancel: 5 }))).toMatchObject({ label: 'Cancelled', note: '' });
  });

  it('offers only what the API would accept', () => {
    const offered = (of: ReturnType<typeof task>) =>
      Object.entries(findPossibleActions(of)).flatMap(([name, can]) => (can ? [name] : []));
    const all = TaskStatus.options.map((status) => [status, offered(task(status))]);
    expect(Object.fromEntries(all)).toEqual({
      queued: ['cancel'],
      leased: ['cancel'],
      running: ['cancel'],
      completed: [],
      failed: ['requeue'],
      dead: ['requeue'],
      cancelled: [],
    });
    expect(offered(task('queued', { dispatched: false }))).toEqual(['dispatch', 'cancel']);
    expect(offered(task('running', { cancel: 5 }))).toEqual([]);
  });
});

it.each([
  ['short', 'short'],
  [' two\n\n lines ', 'two lines'],
  ['x'.repeat(60), 'x'.repeat(60)],
  ['x'.repeat(61), `${'x'.repeat(59)}…`],
  ['👩‍👩‍👧 '.repeat(40), `${'👩‍👩‍👧 '.repeat(30).trim()}…`],
])('shortens %j to %j', (prompt, words) => expect(shortenPrompt(prompt)).toBe(words));

it('calls a task by the first line of its prompt', () => {
  expect(taskTitle({ prompt: '\n\n  Review the shop.\n\nLook for:\n- prices' })).toBe('Review the shop.');
});

it('words actions and amounts as people do', () => {
  expect([actionWords({ action: 'lease_expired' }), actionWords({ action: '_' })]).toEqual([
    'Lease expired',
    '_',
  ]);
  expect([0, 0.0123, 4.2, 1_234].map(formatUsd)).toEqual(['$0.00', '$0.0123', '$4.20', '$1,234.00']);
});
