import { z } from 'zod';
import { ListJobs } from '../../contract/http/api.ts';
import { Job } from '../../contract/memory/memory.ts';
import { OriginalJob, OriginalListJobs } from '../../contract/http/original.ts';
import { getJob } from '../../db/queries/get-job.ts';
import { listJobs } from '../../db/queries/list-jobs.ts';
import type { Deps } from '../deps.ts';
import { withHistoryUrl } from '../spaces/history-url.ts';
import { withLiveDetail } from '../spaces/live-detail.ts';
import { notFoundError } from '../http/not-found.ts';
import { defineRoute } from '../http/route.ts';

const originalTag = 'Sync (original paths)';
const JobId = z.strictObject({ id: z.string() });

async function list(deps: Deps, query: Parameters<typeof listJobs>[1]): Promise<Job[]> {
  const jobs = await listJobs(deps.db, query);
  return jobs.map((job) => withHistoryUrl(job, deps.config));
}

async function show(deps: Deps, id: string): Promise<Job> {
  const job = await getJob(deps.db, { id });
  if (job === null) throw notFoundError('job', id);
  return withHistoryUrl(await withLiveDetail(job, deps), deps.config);
}

/** Returns a job in the original's form. The original knew a script's output; here the detail replaces it. */
function toOriginalJob(job: Job): z.input<typeof OriginalJob> {
  const { status, detail } = job;
  const returncode = { completed: 0, failed: 1, pending: null, running: null }[status];
  const failed = status === 'failed';
  return {
    ...job,
    stdout: failed ? '' : detail,
    stderr: failed ? detail : '',
    returncode,
    dryrun: false,
    request_id: null,
  };
}

const newest = 'The newest sync jobs';
const one = 'One sync job; while it runs, with what it waits for now';
const errors = { 404: 'There is no such job' };

export const jobRoutes = [
  defineRoute({
    method: 'get',
    path: '/api/membridge/jobs',
    auth: 'people',
    tag: 'Jobs',
    summary: newest,
    query: ListJobs,
    status: 200,
    response: z.array(Job),
    handle: async ({ query }, deps) => await list(deps, query),
  }),
  defineRoute({
    method: 'get',
    path: '/api/membridge/jobs/:id',
    auth: 'people',
    tag: 'Jobs',
    summary: one,
    params: JobId,
    status: 200,
    response: Job,
    errors,
    handle: async ({ params }, deps) => await show(deps, params.id),
  }),
  defineRoute({
    method: 'get',
    path: '/jobs',
    auth: 'admin',
    tag: originalTag,
    summary: newest,
    original: true,
    query: OriginalListJobs,
    status: 200,
    response: z.array(OriginalJob),
    handle: async ({ query }, deps) => (await list(deps, query)).map(toOriginalJob),
  }),
  defineRoute({
    method: 'get',
    path: '/jobs/:id',
    auth: 'admin',
    tag: originalTag,
    summary: one,
    original: true,
    params: JobId,
    status: 200,
    response: OriginalJob,
    errors,
    handle: async ({ params }, deps) => toOriginalJob(await show(deps, params.id)),
  }),
];
