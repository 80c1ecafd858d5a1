import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import type { Job, SpaceFacts } from '../../../contract/memory/memory.ts';
import type { Node } from '../../../contract/nodes/nodes.ts';
import { applyToJobs, applyToNodes, applyToSpaces } from '../live/apply-events.ts';
import { readServerClock } from '../live/clock.ts';
import { journal } from '../live/journal.ts';
import { api } from './calls.ts';
import type { MemberFilter } from './filters.ts';
import { keys } from './keys.ts';

/** How often the page asks for what no event tells, in milliseconds. */
const POLL_MS = 10_000;
/** How often a running job's detail is asked for, in milliseconds. */
const JOB_POLL_MS = 2_000;

export const sessionQuery = queryOptions({
  queryKey: keys.session,
  queryFn: ({ signal }) => api.session(signal),
  staleTime: 60_000,
});

export const healthQuery = queryOptions({
  queryKey: keys.health,
  queryFn: ({ signal }) => readServerClock(() => api.health(signal)),
  refetchInterval: POLL_MS,
  retry: false,
});

export const statsQuery = queryOptions({
  queryKey: keys.stats,
  queryFn: ({ signal }) => api.stats(signal),
  refetchInterval: POLL_MS,
});

export const runtimeConfigQuery = queryOptions({
  queryKey: keys.runtimeConfig,
  queryFn: ({ signal }) => api.runtimeConfig(signal),
  refetchInterval: POLL_MS,
});

export const sessionsQuery = queryOptions({
  queryKey: keys.sessions,
  queryFn: ({ signal }) => api.sessions(signal),
  refetchInterval: POLL_MS,
});

// A list is older than the events that arrived while it was under way: they are applied on top of it.

export const nodesQuery = queryOptions({
  queryKey: keys.nodes,
  queryFn: ({ signal }) => journal.during(() => api.nodes(signal), applyToNodes),
  staleTime: Infinity,
});

const isEnrolled = ({ kind }: Node): boolean => kind !== 'original';

/** The same without machines on the original's agent, which nothing can be asked of. */
export const enrolledNodesQuery = queryOptions({
  ...nodesQuery,
  select: (nodes: Node[]) => nodes.filter(isEnrolled),
});

export const spacesQuery = queryOptions({
  queryKey: keys.spaces,
  queryFn: ({ signal }) => journal.during(() => api.spaces(signal), applyToSpaces),
  staleTime: Infinity,
  // How nodes stand also changes with time alone, which no event says.
  refetchInterval: POLL_MS,
});

/** A page of a space's nodes; the page before stays until the next one is there. */
export const membersQuery = (cid: string, filter: MemberFilter) =>
  queryOptions({
    queryKey: keys.members(cid, filter),
    queryFn: ({ signal }) => api.members(cid, filter, signal),
    placeholderData: keepPreviousData,
    refetchInterval: POLL_MS,
  });

/** A space with all its nodes and their settings. */
export const spaceQuery = (cid: string) =>
  queryOptions({
    queryKey: keys.space(cid),
    queryFn: ({ signal }) => api.space(cid, signal),
    // A form begins with it: one that was shown before would be old.
    gcTime: 0,
  });

export const reportedProjectsQuery = queryOptions({
  queryKey: keys.reportedProjects,
  queryFn: ({ signal }) => api.reportedProjects(signal),
  refetchInterval: 30_000,
});

/** The newest jobs of a space, of one node when it is given. */
export const jobsQuery = (space: Pick<SpaceFacts, 'canonical_id' | 'name'>, node: string | null) =>
  queryOptions({
    queryKey: keys.jobs(space.canonical_id, node),
    queryFn: ({ signal }) =>
      journal.during(
        () => api.jobs({ project: space.name, node }, signal),
        (jobs, events) => applyToJobs(jobs, events, { cid: space.canonical_id, node }),
      ),
    staleTime: Infinity,
  });

/**
 * A running job with its live detail: asked for while it is on the screen and the tab is visible. Not at once: a round
 * that finds nothing to do is over in less time, and its job is gone.
 */
export const runningJobQuery = (listed: Job) =>
  queryOptions({
    queryKey: keys.job(listed.id),
    queryFn: ({ signal }) => api.job(listed.id, signal),
    initialData: listed,
    staleTime: JOB_POLL_MS,
    refetchInterval: JOB_POLL_MS,
    retry: false,
    gcTime: JOB_POLL_MS,
  });
