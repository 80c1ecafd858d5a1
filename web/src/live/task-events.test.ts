import { describe, expect, it } from 'vitest';
import type { ServerEvent } from '../../../contract/events.ts';
import type { Lease } from '../../../contract/tasks/leases.ts';
import type { Task } from '../../../contract/tasks/tasks.ts';
import { applyToLeases, applyToTask, applyToTaskPages, matchesFilter } from './apply-task-events.ts';

const task = (id: string, part: Partial<Task> = {}): Task =>
  ({
    id,
    status: 'queued',
    prompt: `prompt of ${id}`,
    context_id: 'ctx',
    agent_slug: 'default',
    worker_id: null,
    project_id: null,
    pool: 'default',
    tags: [],
    created_at: 100,
    updated_at: 100,
    waiting: null,
    ...part,
  }) as Task;
const told = (of: Task, lease: Lease | null = null): ServerEvent => ({ type: 'task', task: of, lease });
const ids = (pages: { rows: Task[] }[]) => pages.map(({ rows }) => rows.map(({ id }) => id));

describe('a list of tasks', () => {
  const pages = [
    { rows: [task('c', { created_at: 300 }), task('b', { created_at: 200 })], next: 'cursor' },
    { rows: [task('a', { created_at: 100 })], next: null },
  ];

  it('stays the same object while no event touches it', () => {
    const events: ServerEvent[] = [{ type: 'node-removed', id: 'n' }];
    expect(applyToTaskPages(pages, events, {})).toBe(pages);
  });

  it('adds a new task once, where it belongs, and updates one in its place on any page', () => {
    const fresh = task('d', { created_at: 400 });
    const after = applyToTaskPages(
      pages,
      [told(fresh), told({ ...fresh, status: 'leased' }), told(task('a', { status: 'running' }))],
      {},
    );
    expect(ids(after)).toEqual([['d', 'c', 'b'], ['a']]);
    expect(after[0]?.rows[0]?.status).toBe('leased');
    expect(after[1]?.rows[0]?.status).toBe('running');
    expect(after[0]?.rows[1]).toBe(pages[0]?.rows[0]);
  });

  it('leaves an older task to its own page', () => {
    expect(applyToTaskPages([pages[0] ?? { rows: [], next: null }], [told(task('a'))], {})).toHaveLength(1);
    expect(ids(applyToTaskPages(pages.slice(0, 1), [told(task('a'))], {}))).toEqual([['c', 'b']]);
  });

  it('removes a task that no longer matches the filter, and adds none that does not match', () => {
    const after = applyToTaskPages(
      pages,
      [told(task('b', { status: 'running', updated_at: 200 })), told(task('d', { status: 'failed' }))],
      { status: 'queued' },
    );
    expect(ids(after)).toEqual([['c'], ['a']]);
  });

  it('keeps what a search found in a part of the prompt that events lack', () => {
    const after = applyToTaskPages(pages, [told(task('c', { status: 'running', created_at: 300 }))], {
      search: 'far away',
    });
    expect(ids(after)[0]).toEqual(['c', 'b']);
    expect(after[0]?.rows[0]?.status).toBe('running');
  });

  it('ignores an event that is older than its answer', () => {
    const rows = [task('a', { status: 'completed', updated_at: 500 })];
    const list = [{ rows, next: null }];
    expect(applyToTaskPages(list, [told(task('a', { status: 'running', updated_at: 400 }))], {})).toBe(list);
  });
});

it.each([
  [{}, true],
  [{ status: 'queued' as const, agent_slug: 'default', pool: 'default' }, true],
  [{ tag: 'x' }, true],
  [{ tag: 'y' }, false],
  [{ search: 'PROMPT OF' }, true],
  [{ search: 'CTX' }, true],
  [{ search: 'nothing' }, false],
  [{ worker_id: 'laptop' }, false],
])('answers with the filter %j: %s', (filter, does) =>
  expect(matchesFilter(task('a', { tags: ['x'] }), filter)).toBe(does),
);

describe('one task', () => {
  const whole = task('a', {
    prompt: 'a long prompt to its end',
    waiting: { reason: 'no node is online', position: null },
  });

  it('keeps its full prompt, and what it waits for while it waits', () => {
    const after = applyToTask(whole, [told(task('a', { prompt: 'a long', priority: 1 })), told(task('b'))]);
    expect(after).toMatchObject({ prompt: whole.prompt, waiting: whole.waiting, priority: 1 });
    expect(applyToTask(whole, [told(task('a', { status: 'leased' }))]).waiting).toBeNull();
    expect(applyToTask(whole, [told(task('b'))])).toBe(whole);
  });

  it('lists the attempts from events, each once, newest first', () => {
    const lease = (epoch: number, status: Lease['status']) => ({ id: `l${epoch}`, epoch, status }) as Lease;
    const before = [lease(1, 'active')];
    const after = applyToLeases(
      before,
      [
        told(whole, lease(1, 'expired')),
        told(whole, lease(2, 'active')),
        told(task('b'), lease(9, 'active')),
      ],
      'a',
    );
    expect(after.map(({ epoch, status }) => `${epoch} ${status}`)).toEqual(['2 active', '1 expired']);
    expect(applyToLeases(before, [told(whole)], 'a')).toBe(before);
  });
});
