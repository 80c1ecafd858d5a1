import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { applyToLeases, applyToTask, applyToTaskPage } from '../live/apply-task-events.ts';
import { journal } from '../live/journal.ts';
import type { AuditFilter, TaskFilter } from './filters.ts';
import { keys } from './keys.ts';
import { taskApi } from './task-calls.ts';

/** How often the page asks for what no event reports, in milliseconds: renewals of leases, places in the queue. */
const POLL_MS = 3_000;
/** The same for what changes rarely. */
const SLOW_POLL_MS = 10_000;
/** How many of the newest attempts the overview shows. */
const RUNS_SHOWN = 15;

const first = null as string | null;

/** The tasks that match a filter, newest first, in pages; live events keep them current. */
export const tasksQuery = (filter: TaskFilter) =>
  infiniteQueryOptions({
    queryKey: keys.tasks(filter),
    queryFn: ({ signal, pageParam }) =>
      journal.during(
        () => taskApi.list(filter, pageParam, signal),
        (page, events) => applyToTaskPage(page, events, { filter, isFirst: pageParam === null }),
      ),
    initialPageParam: first,
    getNextPageParam: ({ next }) => next,
    staleTime: Infinity,
    // The former rows stay until those of the new filter arrive.
    placeholderData: keepPreviousData,
  });

export const taskQuery = (id: string) =>
  queryOptions({
    queryKey: keys.task(id),
    queryFn: ({ signal }) => journal.during(() => taskApi.get(id, signal), applyToTask),
    staleTime: Infinity,
    // Its place in the queue changes with other tasks.
    refetchInterval: ({ state }) => (state.data?.status === 'queued' ? POLL_MS : false),
  });

/** The attempts at a task. No event reports a renewal, so an active lease is requested repeatedly. */
export const taskLeasesQuery = (id: string) =>
  queryOptions({
    queryKey: keys.taskLeases(id),
    queryFn: ({ signal }) =>
      journal.during(
        () => taskApi.leases(id, signal),
        (leases, events) => applyToLeases(leases, events, id),
      ),
    staleTime: Infinity,
    refetchInterval: ({ state }) =>
      state.data?.some(({ status }) => status === 'active') === true ? POLL_MS : false,
  });

export const taskResultsQuery = (id: string) =>
  queryOptions({
    queryKey: keys.taskResults(id),
    queryFn: ({ signal }) => taskApi.results(id, signal),
  });

export const taskArtifactsQuery = (id: string) =>
  queryOptions({
    queryKey: keys.taskArtifacts(id),
    queryFn: ({ signal }) => taskApi.artifacts(id, signal),
  });

/** The audit entries of a task. */
export const taskAuditQuery = (id: string) =>
  queryOptions({
    queryKey: keys.taskAudit(id),
    queryFn: ({ signal }) => taskApi.audit({ correlation_id: id }, null, signal),
  });

/** The proposals of a task. */
export const taskProposalsQuery = (id: string) =>
  queryOptions({
    queryKey: keys.taskProposals(id),
    queryFn: ({ signal }) => taskApi.proposals({ task_id: id }, null, signal),
  });

export const activeLeasesQuery = queryOptions({
  queryKey: keys.activeLeases,
  queryFn: ({ signal }) => taskApi.activeLeases(signal),
  refetchInterval: POLL_MS,
});

export const runsQuery = queryOptions({
  queryKey: keys.runs,
  queryFn: ({ signal }) => taskApi.runs(RUNS_SHOWN, signal),
  refetchInterval: SLOW_POLL_MS,
});

/** Proposals, newest first, in pages; live events cause a new request. */
export const proposalsQuery = (status: string | undefined) =>
  infiniteQueryOptions({
    queryKey: keys.proposals(status),
    queryFn: ({ signal, pageParam }) => taskApi.proposals({ status }, pageParam, signal),
    initialPageParam: first,
    getNextPageParam: ({ next }) => next,
    staleTime: Infinity,
    placeholderData: keepPreviousData,
  });

export const proposalQuery = (id: string) =>
  queryOptions({
    queryKey: keys.proposal(id),
    queryFn: ({ signal }) => taskApi.proposal(id, signal),
    // A node builds the diff in a second or two; the page waits for it.
    refetchInterval: ({ state }) => (state.data?.preview?.state === 'making' ? 1_000 : false),
  });

export const auditQuery = (filter: AuditFilter) =>
  infiniteQueryOptions({
    queryKey: keys.audit(filter),
    queryFn: ({ signal, pageParam }) => taskApi.audit(filter, pageParam, signal),
    initialPageParam: first,
    getNextPageParam: ({ next }) => next,
    placeholderData: keepPreviousData,
  });

export const taskSettingsQuery = queryOptions({
  queryKey: keys.taskSettings,
  queryFn: ({ signal }) => taskApi.settings(signal),
});

export const taskSchedulesQuery = queryOptions({
  queryKey: keys.taskSchedules,
  queryFn: ({ signal }) => taskApi.schedules(signal),
  refetchInterval: SLOW_POLL_MS,
});
