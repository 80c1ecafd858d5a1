import { queryOptions } from '@tanstack/react-query';
import type { ManagedProject } from '../../../contract/projects.ts';
import { applyToLeadership } from '../live/apply-events.ts';
import { applyToProjects } from '../live/apply-project-events.ts';
import { journal } from '../live/journal.ts';
import { ApiProblem } from './problem.ts';
import { keys } from './keys.ts';
import { projectApi } from './project-calls.ts';

/** How often the page asks when a schedule is due, which no event tells, in milliseconds. */
const DUE_POLL_MS = 30_000;

export const projectsQuery = queryOptions({
  queryKey: keys.projects,
  queryFn: ({ signal }) => journal.during(() => projectApi.list(signal), applyToProjects),
  staleTime: Infinity,
});

/** When the schedules of a project are due next, in epoch milliseconds; asked anew when an expression changes. */
export const projectDueQuery = ({ id, memory_schedule, fetch_schedule }: ManagedProject) =>
  queryOptions({
    queryKey: [...keys.projectDue(id), memory_schedule?.cron ?? '', fetch_schedule?.cron ?? ''],
    queryFn: async ({ signal }) => {
      const project = await projectApi.get(id, signal);
      return {
        memory: project.memory_schedule?.next_at ?? null,
        fetch: project.fetch_schedule?.next_at ?? null,
      };
    },
    enabled: memory_schedule !== null || fetch_schedule !== null,
    refetchInterval: DUE_POLL_MS,
  });

/** Who is primary of a space. */
export const leadershipQuery = (cid: string) =>
  queryOptions({
    queryKey: keys.leadership(cid),
    queryFn: ({ signal }) => journal.during(() => projectApi.leadership(cid, signal), applyToLeadership),
    staleTime: Infinity,
    retry: (failures, error) => failures < 2 && !(error instanceof ApiProblem && error.status === 404),
  });
