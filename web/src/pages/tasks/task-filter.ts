import { z } from 'zod';
import { TaskStatus } from '../../../../contract/tasks/tasks.ts';
import type { TaskFilter } from '../../api/filters.ts';

const text = z.string().min(1).optional().catch(undefined);

/** What tasks are chosen by, as the page's address has it. */
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

/** The same in the API's words; only what is asked. */
export function filterOf(search: TaskSearch): TaskFilter {
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

/** The filters that stand in fields of their own, which are folded away while none is used. */
export const FIELDS = ['agent', 'context', 'worker', 'project', 'pool', 'tag'] as const;

/** How many of them are used. */
export function usedFields(search: TaskSearch): number {
  return FIELDS.filter((field) => search[field] !== undefined).length;
}
