import { MembridgeError } from '../../contract/errors.ts';
import type { Job, Space } from '../../contract/memory/memory.ts';
import type { SyncAction } from '../../contract/http/primitives.ts';
import type { SyncRequest } from '../../contract/workflows.ts';
import { countOpenJobs } from '../../db/queries/open-jobs.ts';
import { getJob } from '../../db/queries/get-job.ts';
import { getSpace } from '../../db/queries/get-space.ts';
import { getNodeSpaceConfigs } from '../../db/queries/node-space-configs.ts';
import { recordJobRequested } from '../../db/queries/record-job-requested.ts';
import { newJobId, requestSync, type WorkflowRef } from '../../engine/memory-workflows.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { auditByCaller } from '../auth/actor.ts';
import { notFoundError } from '../http/not-found.ts';
import type { Caller } from '../http/route.ts';

/** How many syncs of one node in one space may wait: each is a signal to its workflow, which accepts 10,000 in all. */
const MAX_OPEN_JOBS = 500;

/** A sync that Temporal has accepted, so that it survives a crash. */
export interface AcceptedSync extends WorkflowRef {
  readonly jobId: string;
  readonly node: string;
}

/**
 * Requests a sync of one node in one space.
 * @throws MembridgeError conflict when the node's owner excludes it from the space; not_found when the space was
 * removed by now; too_many_requests when 500 are waiting already; engine_unavailable, database_unavailable
 */
export async function acceptSync(
  deps: Deps,
  input: { space: Space; node: string; action: SyncAction; caller: Caller },
): Promise<AcceptedSync> {
  const { node } = input;
  const { canonical_id: cid, name } = input.space;
  const space = (await getNodeSpaceConfigs(deps.db, { cid, nodes: [node] })).get(node);
  if (space === undefined) {
    if ((await getSpace(deps.db, { cid })) === null) throw notFoundError('space', `${name} (${cid})`);
    throw new MembridgeError(
      'conflict',
      `Node ${node} does not take part in ${name}: its owner named other spaces in MEMBRIDGE_SPACES on that machine.`,
    );
  }
  if ((await countOpenJobs(deps.db, { cid, node })) >= MAX_OPEN_JOBS) {
    throw new MembridgeError(
      'too_many_requests',
      `${MAX_OPEN_JOBS} syncs of ${name} already wait for node ${node}. It does them together once it returns; try again then.`,
    );
  }
  const request: SyncRequest = {
    jobId: newJobId(),
    action: input.action,
    trigger: input.caller.kind === 'browser' ? 'button' : 'api',
  };
  const ref = await callEngine(deps.engine, (client) => requestSync(client, { space, node }, request));
  const by = auditByCaller(input.caller);
  await recordJobRequested(deps.db, { space, node, ...ref, request, by, now: deps.now() });
  return { ...ref, jobId: request.jobId, node };
}

/**
 * Waits until a job has ended.
 * @returns the job, or null when it has not ended after `waitMs` milliseconds
 */
export async function waitForJob(deps: Deps, jobId: string, waitMs: number): Promise<Job | null> {
  let unsubscribe = (): void => undefined;
  let timer: NodeJS.Timeout | undefined;
  const told = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, waitMs);
    unsubscribe = deps.events.subscribe(({ event }) => {
      if (event.type === 'job' && event.job.id === jobId && hasEnded(event.job)) resolve();
    });
  });
  try {
    // The job may have ended before the listener was added.
    const job = await getJob(deps.db, { id: jobId });
    if (job !== null && hasEnded(job)) return job;
    await told;
    const ended = await getJob(deps.db, { id: jobId });
    return ended !== null && hasEnded(ended) ? ended : null;
  } finally {
    clearTimeout(timer);
    unsubscribe();
  }
}

function hasEnded(job: Job): boolean {
  return job.status === 'completed' || job.status === 'failed';
}
