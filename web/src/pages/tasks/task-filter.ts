import { z } from 'zod';
import { TaskStatus } from '../../../../contract/tasks/tasks.ts';
import type { TaskFilter } from '../../api/filters.ts';

const text = z.string().min(1).optional().catch(undefined);

/** The filters of tasks in the page's address. */
export const TaskSearch = z.object({
  status: TaskStatus.optional().catch(undefined),
  agent: text,
  context: text,
  worker: text,
  project: text,
  pool: text,
  tag: text,
  search: text,
});
export type TaskSearch = z.infer<typeof TaskSearch>;

/** Returns the same for the API; only what is set. */
export function toFilter(search: TaskSearch): TaskFilter {
  const all = {
    status: search.status,
    agent_slug: search.agent,
    context_id: search.context,
    worker_id: search.worker,
    project_id: search.project,
    pool: search.pool,
    tag: search.tag,
    search: search.search,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** The filters with their own fields, which are collapsed while none is used. */
export const FIELDS = ['agent', 'context', 'worker', 'project', 'pool', 'tag'] as const;

/** Returns how many of them are used. */
export function countUsedFields(search: TaskSearch): number {
  return FIELDS.filter((field) => search[field] !== undefined).length;
}
