import { z } from 'zod';
import { ListJobs } from '../../contract/api.ts';
import { Job } from '../../contract/memory.ts';
import { getJob } from '../../db/queries/get-job.ts';
import { listJobs } from '../../db/queries/list-jobs.ts';
import type { Deps } from '../deps.ts';
import { withHistoryUrl } from '../history-url.ts';
import { withLiveDetail } from '../live-detail.ts';
import { notFound } from '../not-found.ts';
import { defineRoute } from '../route.ts';

const JobId = z.strictObject({ id: z.string() });

async function list(deps: Deps, query: z.infer<typeof ListJobs>): Promise<Job[]> {
  const jobs = await listJobs(deps.db, query);
  return jobs.map((job) => withHistoryUrl(job, deps.config));
}

async function show(deps: Deps, id: string): Promise<Job> {
  const job = await getJob(deps.db, { id });
  if (job === null) throw notFound('job', id);
  return withHistoryUrl(await withLiveDetail(job, deps), deps.config);
}

const families = [
  { path: '/jobs', auth: 'admin', tag: 'Sync (original paths)' },
  { path: '/api/membridge/jobs', auth: 'people', tag: 'Jobs' },
] as const;

export const jobRoutes = families.flatMap(({ path, auth, tag }) => [
  defineRoute({
    method: 'get',
    path,
    auth,
    tag,
    summary: 'The newest sync jobs',
    query: ListJobs.strict(),
    status: 200,
    response: z.array(Job),
    handle: async ({ query }, deps) => await list(deps, query),
  }),
  defineRoute({
    method: 'get',
    path: `${path}/:id`,
    auth,
    tag,
    summary: 'One sync job; while it runs, with what it waits for at this moment',
    params: JobId,
    status: 200,
    response: Job,
    errors: { 404: 'There is no such job' },
    handle: async ({ params }, deps) => await show(deps, params.id),
  }),
]);
