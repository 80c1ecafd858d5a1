import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import type { Job, SpaceFacts } from '../../../contract/memory/memory.ts';
import type { Node } from '../../../contract/nodes/nodes.ts';
import { applyToJobs, applyToNodes, applyToSpaces } from '../live/apply-events.ts';
import { readServerClock } from '../live/clock.ts';
import { journal } from '../live/journal.ts';
import { api } from './calls.ts';
import type { MemberFilter } from './filters.ts';
import { keys } from './keys.ts';

/** How often the page asks for what no event reports, in milliseconds. */
const POLL_MS = 10_000;
/** How often the page asks for a running job's detail, in milliseconds. */
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

// A list may be older than events that arrived during its request, so these are applied to it.

export const nodesQuery = queryOptions({
  queryKey: keys.nodes,
  queryFn: ({ signal }) => journal.during(() => api.nodes(signal), applyToNodes),
  staleTime: Infinity,
});

const isEnrolled = ({ kind }: Node): boolean => kind !== 'original';

/** The same without machines with the original's agent, which accept no requests. */
export const enrolledNodesQuery = queryOptions({
  ...nodesQuery,
  select: (nodes: Node[]) => nodes.filter(isEnrolled),
});

export const spacesQuery = queryOptions({
  queryKey: keys.spaces,
  queryFn: ({ signal }) => journal.during(() => api.spaces(signal), applyToSpaces),
  staleTime: Infinity,
  // The status of nodes also changes with time, without an event.
  refetchInterval: POLL_MS,
});

/** A page of a space's nodes; the previous page stays until the next one arrives. */
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
    // A form starts with it, so an earlier result would be outdated.
    gcTime: 0,
  });

export const reportedProjectsQuery = queryOptions({
  queryKey: keys.reportedProjects,
  queryFn: ({ signal }) => api.reportedProjects(signal),
  refetchInterval: 30_000,
});

/** The newest jobs of a space, or of one node in it. */
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
 * A running job with its live detail. It is requested while the job is on screen and the tab is visible. The first
 * request waits a moment: a round without work ends sooner, and its job disappears.
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
