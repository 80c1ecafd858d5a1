import type { ServerEvent } from '../../../contract/events.ts';
import type { Lease } from '../../../contract/tasks/leases.ts';
import type { Task } from '../../../contract/tasks/tasks.ts';
import type { TaskFilter } from '../api/filters.ts';
import type { Page } from '../api/request.ts';

type TaskEvent = Extract<ServerEvent, { type: 'task' }>;

const isTask = (event: ServerEvent): event is TaskEvent => event.type === 'task';

/** The ids of the tasks that some events tell of, once each. */
export function tasksIn(events: readonly ServerEvent[]): string[] {
  return [...new Set(events.filter(isTask).map(({ task }) => task.id))];
}

/** Whether a task is one that a filter asks for. Of its prompt only as much is known as an event tells. */
export function fits(task: Task, filter: TaskFilter): boolean {
  const same = (asked: string | undefined, is: string | null): boolean => asked === undefined || asked === is;
  const text = filter.search?.toLowerCase();
  return (
    same(filter.status, task.status) &&
    same(filter.agent_slug, task.agent_slug) &&
    same(filter.context_id, task.context_id) &&
    same(filter.worker_id, task.worker_id) &&
    same(filter.project_id, task.project_id) &&
    same(filter.pool, task.pool) &&
    (filter.tag === undefined || task.tags.includes(filter.tag)) &&
    (text === undefined ||
      [task.prompt, task.id, task.context_id, task.agent_slug].some((part) =>
        part.toLowerCase().includes(text),
      ))
  );
}

/** What stands above what: the newest first, and of one moment by id, as the API orders them. */
const isBefore = (a: Task, b: Task): boolean =>
  a.created_at !== b.created_at ? a.created_at > b.created_at : a.id > b.id;

/**
 * One page of a list of tasks after some events; the same object when none touches it. A task that fits the filter no longer leaves.
 * @param of.isFirst whether new tasks come in here: a task that the list does not have stands on its first page
 */
export function applyToTaskPage(
  page: Page<Task>,
  events: readonly ServerEvent[],
  of: { filter: TaskFilter; isFirst: boolean; others?: ReadonlySet<string> },
): Page<Task> {
  let { rows } = page;
  for (const event of events) {
    if (!isTask(event)) continue;
    const { task } = event;
    const at = rows.findIndex(({ id }) => id === task.id);
    if (at !== -1) {
      // An answer may be newer than an event that came while it was on its way.
      if (task.updated_at < (rows[at]?.updated_at ?? 0)) continue;
      // A search may have found it further on in its prompt than an event tells.
      const stays = fits(task, { ...of.filter, search: undefined });
      rows = stays ? rows.with(at, task) : rows.toSpliced(at, 1);
      continue;
    }
    if (!of.isFirst || of.others?.has(task.id) === true || !fits(task, of.filter)) continue;
    const place = rows.findIndex((row) => isBefore(task, row));
    // One that belongs below this page comes with its own.
    if (place === -1 && page.next !== null) continue;
    rows = rows.toSpliced(place === -1 ? rows.length : place, 0, task);
  }
  return rows === page.rows ? page : { ...page, rows };
}

/** All pages of a list of tasks after some events; the same array when none touches it. */
export function applyToTaskPages(
  pages: Page<Task>[],
  events: readonly ServerEvent[],
  filter: TaskFilter,
): Page<Task>[] {
  const others = new Set(pages.slice(1).flatMap(({ rows }) => rows.map(({ id }) => id)));
  const after = pages.map((page, index) =>
    applyToTaskPage(page, events, { filter, isFirst: index === 0, others }),
  );
  return after.some((page, index) => page !== pages[index]) ? after : pages;
}

/** A task after some events. What only the whole task has stays: its prompt, and what it waits for while it waits. */
export function applyToTask(task: Task, events: readonly ServerEvent[]): Task {
  let current = task;
  for (const event of events) {
    if (!isTask(event) || event.task.id !== task.id) continue;
    if (event.task.updated_at < current.updated_at) continue;
    const waiting = event.task.status === 'queued' ? current.waiting : null;
    current = { ...event.task, prompt: task.prompt, waiting };
  }
  return current;
}

/** The attempts at a task after some events, the newest first; the same array when none touches them. */
export function applyToLeases(leases: Lease[], events: readonly ServerEvent[], task: string): Lease[] {
  let current = leases;
  for (const event of events) {
    if (!isTask(event) || event.lease === null || event.task.id !== task) continue;
    const { lease } = event;
    const at = current.findIndex(({ id }) => id === lease.id);
    current = at === -1 ? [lease, ...current] : current.with(at, lease);
  }
  return current === leases ? leases : current.toSorted((a, b) => b.epoch - a.epoch);
}
