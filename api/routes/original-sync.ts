import type { z } from 'zod';
import { OriginalSync, OriginalSyncResponse } from '../../contract/http/api.ts';
import type { Deps } from '../deps.ts';
import { requireNode, requireProject } from '../http/not-found.ts';
import { ProblemError } from '../http/problems.ts';
import { defineRoute, type Caller } from '../http/route.ts';
import { acceptSync, waitForJob } from '../spaces/sync-requests.ts';

async function sync(
  deps: Deps,
  action: 'push' | 'pull',
  body: z.infer<typeof OriginalSync>,
  caller: Caller,
): Promise<z.infer<typeof OriginalSyncResponse>> {
  const space = await requireProject(deps, body.project);
  const node = await requireNode(deps, body.agent);
  const { jobId } = await acceptSync(deps, { space, node: node.id, action, caller });
  const job = await waitForJob(deps, jobId, deps.syncWaitMs);
  if (job === null) {
    throw new ProblemError(
      'sync_timeout',
      `The ${action} of ${body.project} on ${body.agent} has not ended after ${deps.syncWaitMs / 1_000} s. It continues; look at GET /jobs/${jobId}.`,
      { job_id: jobId },
    );
  }
  if (job.status === 'failed') {
    throw new ProblemError(
      'sync_failed',
      `The ${action} of ${body.project} on ${body.agent} failed: ${job.detail}`,
      { job_id: jobId },
    );
  }
  return {
    ok: true,
    project: body.project,
    agent: body.agent,
    canonical_id: space.canonical_id,
    detail: job.detail,
    job_id: jobId,
  };
}

export const originalSyncRoutes = (['push', 'pull'] as const).map((action) =>
  defineRoute({
    method: 'post',
    path: `/sync/${action}`,
    auth: 'admin',
    tag: 'Sync (original paths)',
    summary: `${action === 'push' ? 'Push' : 'Pull'} one project's memory on one node, and wait for the end`,
    original: true,
    body: OriginalSync,
    status: 200,
    response: OriginalSyncResponse,
    errors: {
      404: 'There is no such project or agent',
      502: 'The sync failed; job_id names its job',
      504: 'The sync has not ended after 60 s and continues; job_id names its job',
    },
    handle: async ({ body, caller }, deps) => await sync(deps, action, body, caller),
  }),
);
