import type { InfiniteData, QueryClient } from '@tanstack/react-query';
import type { ServerEvent } from '../../../contract/events.ts';
import type { Lease } from '../../../contract/tasks/leases.ts';
import type { ShownProposal } from '../../../contract/projects/proposals.ts';
import type { Task } from '../../../contract/tasks/tasks.ts';
import type { TaskFilter } from '../api/filters.ts';
import { keys } from '../api/keys.ts';
import type { Page } from '../api/request.ts';
import { ROWS_PER_PAGE } from '../api/task-calls.ts';
import { applyToLeases, applyToTask, applyToTaskPages, listTaskIds } from './apply-task-events.ts';

/** The lists to load again when events may have been missed. */
export const TASK_LISTS = [
  keys.allTasks,
  ['task'],
  ['task-leases'],
  ['task-records'],
  keys.activity,
  keys.allProposals,
  ['proposal'],
] as const;

/** How many rows the first page of a list may grow to. */
const MAX_ROWS = 4 * ROWS_PER_PAGE;

/** Applies events to everything in the cache about tasks. */
export function applyTaskEvents(cache: QueryClient, events: readonly ServerEvent[]): void {
  applyProposals(cache, events);
  const touched = listTaskIds(events);
  if (touched.length === 0) return;
  for (const [key, list] of cache.getQueriesData<InfiniteData<Page<Task>>>({ queryKey: keys.allTasks })) {
    if (list === undefined) continue;
    const [, filter] = key as [string, TaskFilter];
    const pages = applyToTaskPages(list.pages, events, filter);
    if (pages !== list.pages) cache.setQueryData(key, { ...list, pages });
    // New tasks are added at the top as long as the page is open, so the pages are split again from time to time.
    if ((pages[0]?.rows.length ?? 0) > MAX_ROWS) {
      void cache.invalidateQueries({ queryKey: key, exact: true }, { cancelRefetch: false });
    }
  }
  for (const id of touched) {
    cache.setQueryData<Task>(keys.task(id), (task) => task && applyToTask(task, events));
    cache.setQueryData<Lease[]>(keys.taskLeases(id), (leases) => leases && applyToLeases(leases, events, id));
    void cache.invalidateQueries({ queryKey: keys.taskRecords(id) });
    // Only the whole task says why it waits; events do not carry that.
    const waits = cache.getQueryData<Task>(keys.task(id))?.status === 'queued';
    if (waits) void cache.invalidateQueries({ queryKey: keys.task(id) });
  }
}

/** Handles events of proposals. Their lists are short and change rarely, so they are requested again. */
function applyProposals(cache: QueryClient, events: readonly ServerEvent[]): void {
  for (const event of events) {
    if (event.type !== 'proposal') continue;
    const { proposal } = event;
    cache.setQueryData<ShownProposal>(
      keys.proposal(proposal.id),
      (known) => known && { ...known, ...proposal },
    );
    void cache.invalidateQueries({ queryKey: keys.allProposals });
    void cache.invalidateQueries({ queryKey: keys.taskRecords(proposal.task_id) });
  }
}
