import type { ServerEvent } from '../../../contract/events.ts';
import type { Lease } from '../../../contract/tasks/leases.ts';
import type { Task } from '../../../contract/tasks/tasks.ts';
import type { TaskFilter } from '../api/filters.ts';
import type { Page } from '../api/request.ts';

type TaskEvent = Extract<ServerEvent, { type: 'task' }>;

const isTask = (event: ServerEvent): event is TaskEvent => event.type === 'task';

/** Returns the ids of the tasks in some events, once each. */
export function listTaskIds(events: readonly ServerEvent[]): string[] {
  return [...new Set(events.filter(isTask).map(({ task }) => task.id))];
}

/** Returns whether a task matches a filter. An event carries only the beginning of its prompt. */
export function matchesFilter(task: Task, filter: TaskFilter): boolean {
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

/** The order of a list: newest first, and by id for equal times, as in the API. */
const isBefore = (a: Task, b: Task): boolean =>
  a.created_at !== b.created_at ? a.created_at > b.created_at : a.id > b.id;

/**
 * Applies events to one page of a list of tasks; returns the same object when none touches it. A task that no longer
 * matches the filter leaves the page.
 * @param of.isFirst whether new tasks are added here: an unlisted task belongs on the first page
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
      // An answer may be newer than an event that arrived during its request.
      if (task.updated_at < (rows[at]?.updated_at ?? 0)) continue;
      // A search may have matched a part of the prompt that an event does not carry.
      const stays = matchesFilter(task, { ...of.filter, search: undefined });
      rows = stays ? rows.with(at, task) : rows.toSpliced(at, 1);
      continue;
    }
    if (!of.isFirst || of.others?.has(task.id) === true || !matchesFilter(task, of.filter)) continue;
    const place = rows.findIndex((row) => isBefore(task, row));
    // A task that belongs below this page comes with its own page.
    if (place === -1 && page.next !== null) continue;
    rows = rows.toSpliced(place === -1 ? rows.length : place, 0, task);
  }
  return rows === page.rows ? page : { ...page, rows };
}

/** Applies events to all pages of a list of tasks; returns the same array when none touches it. */
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

/** Applies events to a task. It keeps what events lack: the full prompt, and what it waits for while it waits. */
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

/** Applies events to the attempts at a task, newest first; returns the same array when none touches them. */
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
