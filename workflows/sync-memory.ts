import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineSignal,
  defineUpdate,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { failureOf } from './activity-failure.ts';
import type { MemoryActivities } from '../activities/node/memory.ts';
import { MESSAGES, memorySpaceId, nodeQueue } from '../contract/names.ts';
import type {
  NodePushed,
  SyncMemoryInput,
  SyncRequest,
  SyncRoundResult,
  TimedRequest,
} from '../contract/workflows.ts';
import { control } from './control.ts';

export const requestSync = defineSignal<[SyncRequest]>(MESSAGES.requestSync);
export const syncAndWait = defineUpdate<SyncRoundResult, [SyncRequest]>(MESSAGES.syncAndWait);

/** Triggers of people and scripts, whose requests each have a job. All other requests are interchangeable. */
const JOB_TRIGGERS: ReadonlySet<string> = new Set(['button', 'api', 'cli', 'schedule']);

/** How long a run that was started without a request waits for one. */
const NO_REQUEST_WAIT = '5 seconds';

/**
 * Keeps one node in step with one space: push, then pull, on the node's own queue. Requests that arrive
 * during a round are served by the next one, so a second start joins this run. Ends when no request is left.
 */
export async function syncMemory(input: SyncMemoryInput): Promise<{ rounds: number }> {
  const requests: TimedRequest[] = [...(input.pending ?? [])];
  const results = new Map<string, SyncRoundResult>();
  let { space } = input;
  const accept = (request: SyncRequest): void => {
    space = request.space ?? space;
    // While a round waits for a node or a store, every commit sends a request. One request per kind is
    // enough.
    const isKnown = requests.some(
      ({ trigger, action }) => trigger === request.trigger && action === request.action,
    );
    if (isKnown && !JOB_TRIGGERS.has(request.trigger)) return;
    requests.push({ ...request, requestedAt: Date.now() });
  };
  setHandler(requestSync, accept);
  setHandler(syncAndWait, async (request) => {
    accept(request);
    await condition(() => results.has(request.jobId));
    const result = results.get(request.jobId);
    if (result === undefined) throw new Error(`round of ${request.jobId} ended without a result`);
    return result;
  });

  let rounds = 0;
  await condition(() => requests.length > 0, NO_REQUEST_WAIT);
  while (requests.length > 0) {
    const served = requests.splice(0);
    const result = await syncRound({ space, node: input.node }, served);
    rounds += 1;
    for (const { jobId } of served) results.set(jobId, result);
    if (result.error === null && served.some(({ tell }) => tell)) {
      await signalSpace(space.cid, MESSAGES.nodeServed, input.node);
    }
    // Waiting callers of this round must be answered before the run ends; those of the next round need that
    // round.
    await condition(() => requests.length > 0 || allHandlersFinished());
    if (workflowInfo().continueAsNewSuggested && allHandlersFinished()) {
      await continueAsNew<typeof syncMemory>({ space, node: input.node, pending: requests });
    }
  }
  return { rounds };
}

async function syncRound(input: SyncMemoryInput, requests: TimedRequest[]): Promise<SyncRoundResult> {
  const { space, node } = input;
  const startedAt = Date.now();
  const { workflowId, runId } = workflowInfo();
  const round = { space, node, requests, workflowId, runId, startedAt };
  const result: SyncRoundResult = {
    jobIds: requests.map((request) => request.jobId),
    push: null,
    pull: null,
    error: null,
    ms: 0,
  };
  showStatus('running');
  await waitUntilRecorded(control.recordRoundStarted(round));
  try {
    if (requests.some(({ action }) => action !== 'pull')) {
      result.push = await onNode(input, `send new memories of ${space.projectId}`).pushMemory(space);
      if (result.push.rows > 0) {
        await signalSpace(space.cid, MESSAGES.nodePushed, { node, rows: result.push.rows });
      }
    }
    if (requests.some(({ action }) => action !== 'push')) {
      // A person who asks wants certainty: list every segment instead of trusting the heads.
      const full = requests.some(({ trigger }) => trigger !== 'noticed' && trigger !== 'fan-out');
      result.pull = await onNode(input, `merge new memories of ${space.projectId}`).pullMemory({
        space,
        full,
      });
    }
  } catch (error) {
    if (isCancellation(error)) throw error;
    result.error = failureOf(error, {
      code: 'sync_timeout',
      message: 'The node did not finish the sync within a day',
    });
  }
  result.ms = Date.now() - startedAt;
  await waitUntilRecorded(control.recordRoundFinished({ ...round, result, finishedAt: Date.now() }));
  showStatus(result.error === null ? 'completed' : 'failed');
  setCurrentDetails(activityDetails(result));
  return result;
}

/**
 * Sets the status search attribute. A namespace without our search attributes rejects it, which would block
 * the workflow. A namespace that has them started this run with its project's.
 */
function showStatus(status: 'running' | 'completed' | 'failed'): void {
  if (workflowInfo().typedSearchAttributes.getAll().length === 0) return;
  upsertSearchAttributes({ MembridgeStatus: [status] });
}

/** Waits for a status to be recorded. A failed record must not stop the memories. */
async function waitUntilRecorded(writing: Promise<void>): Promise<void> {
  try {
    await writing;
  } catch (error) {
    if (isCancellation(error)) throw error;
    log.error('a status could not be written', { error });
  }
}

/** Returns activities on the node's own queue. An offline node does them when it returns, for up to a day. */
function onNode({ node }: SyncMemoryInput, summary: string): MemoryActivities {
  return proxyActivities<MemoryActivities>({
    taskQueue: nodeQueue(node),
    scheduleToCloseTimeout: '1 day',
    startToCloseTimeout: '2 hours',
    heartbeatTimeout: '10 seconds',
    retry: { initialInterval: '500 milliseconds', backoffCoefficient: 2, maximumInterval: '10 seconds' },
    summary,
  });
}

/** Sends a signal to the space's workflow. Ignores a space that was deleted. */
async function signalSpace(cid: string, message: string, about: NodePushed | string): Promise<void> {
  try {
    await getExternalWorkflowHandle(memorySpaceId(cid)).signal(message, about);
  } catch (error) {
    if (isCancellation(error)) throw error;
  }
}

function activityDetails({ push, pull, error }: SyncRoundResult): string {
  if (error !== null) return `**${error.code}**: ${error.message}`;
  const sent =
    push === null
      ? ''
      : `sent ${push.rows} rows in ${push.segments} segments (${push.traffic.bytesUp} bytes)`;
  const received =
    pull === null
      ? ''
      : `received ${pull.inserted} new and ${pull.updated} changed rows (${pull.traffic.bytesDown} bytes)`;
  return [sent, received].filter((part) => part !== '').join('; ');
}
