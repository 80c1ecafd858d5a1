import { queryOptions } from '@tanstack/react-query';
import type { ProjectSummary } from '../../../contract/projects/projects.ts';
import { applyToLeadership } from '../live/apply-events.ts';
import { applyToClones, applyToProjects } from '../live/apply-project-events.ts';
import { journal } from '../live/journal.ts';
import { ApiProblem } from './problem.ts';
import { keys } from './keys.ts';
import { projectApi } from './project-calls.ts';

/** How often the page asks when a schedule runs next, which no event reports, in milliseconds. */
const DUE_POLL_MS = 30_000;

export const projectsQuery = queryOptions({
  queryKey: keys.projects,
  queryFn: ({ signal }) => journal.during(() => projectApi.list(signal), applyToProjects),
  staleTime: Infinity,
});

/** The state of one project's clones. */
export const clonesQuery = (id: string) =>
  queryOptions({
    queryKey: keys.clones(id),
    queryFn: ({ signal }) =>
      journal.during(
        () => projectApi.clones(id, signal),
        (clones, events) => applyToClones(clones, events, id),
      ),
    staleTime: Infinity,
  });

/** When the schedules of a project run next, in epoch milliseconds; repeated when an expression changes. */
export const projectDueQuery = ({ id, memory_schedule, fetch_schedule, update_schedule }: ProjectSummary) =>
  queryOptions({
    queryKey: [
      ...keys.projectDue(id),
      memory_schedule?.cron ?? '',
      fetch_schedule?.cron ?? '',
      update_schedule?.cron ?? '',
    ],
    queryFn: async ({ signal }) => {
      const { memory, fetch, update } = await projectApi.schedules(id, signal);
      const at = (each: { next_at: number | null } | null) => each?.next_at ?? null;
      return { memory: at(memory), fetch: at(fetch), update: at(update) };
    },
    enabled: memory_schedule !== null || fetch_schedule !== null || update_schedule !== null,
    refetchInterval: DUE_POLL_MS,
  });

/** The primary of a space. */
export const leadershipQuery = (cid: string) =>
  queryOptions({
    queryKey: keys.leadership(cid),
    queryFn: ({ signal }) => journal.during(() => projectApi.leadership(cid, signal), applyToLeadership),
    staleTime: Infinity,
    retry: (failures, error) => failures < 2 && !(error instanceof ApiProblem && error.status === 404),
  });
