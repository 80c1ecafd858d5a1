import type { Job } from '../../contract/memory/memory.ts';
import { getNode } from '../../db/queries/get-node.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { describePending, nodeActivity } from '../engine/pending-activity.ts';

/** How long Temporal may take to describe a workflow, in milliseconds; after that the job is shown without it. */
const DESCRIBE_DEADLINE_MS = 2_000;

/**
 * Adds to a job that has not ended what it waits for now. Temporal knows that best; without Temporal the job stays as
 * it was recorded.
 */
export async function withLiveDetail(job: Job, deps: Deps): Promise<Job> {
  if (job.status !== 'running' && job.status !== 'pending') return job;
  const now = deps.now();
  try {
    const description = await callEngine(
      deps.engine,
      (client) => client.workflow.getHandle(job.workflow_id).describe(),
      DESCRIBE_DEADLINE_MS,
    );
    const pending = nodeActivity(description.raw.pendingActivities ?? [], job.agent);
    if (pending === null) return job;
    const node = await getNode(deps.db, { id: job.agent, now });
    const detail = describePending(pending, { node: job.agent, online: node?.status === 'online', now });
    return detail === null ? job : { ...job, detail };
  } catch (error) {
    deps.logger.debug({ err: error, job: job.id }, 'no live detail for this job');
    return job;
  }
}
