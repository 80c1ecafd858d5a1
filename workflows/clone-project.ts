import {
  ActivityFailure,
  CancellationScope,
  TimeoutFailure,
  ActivityCancellationType,
  allHandlersFinished,
  condition,
  continueAsNew,
  defineSignal,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';
import type { ProjectActivities } from '../activities/node/projects.ts';
import type { CloneResult, CloneStatus } from '../contract/projects.ts';
import {
  MESSAGES,
  nodeQueue,
  type CloneProjectInput,
  type CloneRequest,
  type NodeSettled,
} from '../contract/workflows.ts';
import { failureOf } from './failure-of.ts';

export const requestClone = defineSignal<[CloneRequest]>(MESSAGES.requestClone);

/** How long one attempt on a node may take, in milliseconds: after this nothing shows as cloning any more. */
const ATTEMPT_MS = 2 * 3_600_000;

/** A node that has not taken the work by then is away (or busy): the status says so, and who asked need not wait for it. */
const TAKEN_WITHIN = '15 seconds';

/** How long an offline node may take to come back and do it. */
const WAIT_FOR_NODE = '7 days';

/** How long a run that was started without any request waits for one. */
const NO_REQUEST_WAIT = '5 seconds';

const control = proxyLocalActivities<ControlActivities>({
  startToCloseTimeout: '10 seconds',
  retry: { maximumInterval: '5 seconds' },
});

/** What came of one request, for whoever waits for the workflow. */
type Settled = Omit<NodeSettled, 'node'> & { readonly result: CloneResult | null };

/**
 * Keeps one project's clone on one node: makes it, brings it up to date, or looks at it. A request that comes in while the
 * same is being done joins it; another is served next. Cancelling ends git on the node and removes what it had begun.
 */
export async function cloneProject(input: CloneProjectInput): Promise<Settled | null> {
  const requests: CloneRequest[] = [...(input.pending ?? [])];
  let current: { request: CloneRequest; listeners: Set<string> } | null = null;
  setHandler(requestClone, (request) => {
    if (current !== null && isSame(current.request, request)) {
      if (request.notify !== undefined) current.listeners.add(request.notify);
    } else requests.push(request);
  });

  let last: Settled | null = null;
  await condition(() => requests.length > 0, NO_REQUEST_WAIT);
  for (let request = requests.shift(); request !== undefined; request = requests.shift()) {
    const listeners = new Set(request.notify === undefined ? [] : [request.notify]);
    current = { request, listeners };
    // Whoever asked for the same meanwhile is served by this very round.
    const others = requests.filter((other) => !isSame(other, request));
    for (const other of requests.splice(0)) {
      if (isSame(other, request) && other.notify !== undefined) listeners.add(other.notify);
    }
    requests.push(...others);
    try {
      last = await serve(input, request, listeners);
    } catch (error) {
      if (!isCancellation(error)) throw error;
      await CancellationScope.nonCancellable(async () => {
        for (const other of requests) if (other.notify !== undefined) listeners.add(other.notify);
        await control.recordCloneFinished({
          ...refOf(input),
          action: request.action,
          outcome: { kind: 'cancelled' },
        });
        await tell(listeners, { node: input.node, status: 'cancelled', error: null });
      });
      throw error;
    }
    current = null;
    if (workflowInfo().continueAsNewSuggested && requests.length > 0) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof cloneProject>({ ...input, pending: requests });
    }
  }
  return last;
}

const isSame = (a: CloneRequest, b: CloneRequest): boolean =>
  a.action === b.action && JSON.stringify(a.spec) === JSON.stringify(b.spec);

const refOf = ({ projectId, node }: CloneProjectInput) => {
  const { workflowId, runId } = workflowInfo();
  return { projectId, node, workflowId, runId };
};

async function serve(
  input: CloneProjectInput,
  request: CloneRequest,
  listeners: ReadonlySet<string>,
): Promise<Settled> {
  const { node } = input;
  const { action } = request;
  const ref = refOf(input);
  const settle = async (status: CloneStatus, error: string | null, result: CloneResult | null) => {
    setCurrentDetails(error ?? result?.detail ?? status);
    await tell(listeners, { node, status, error });
    return { status, error, result };
  };
  const present = await control.recordCloneWaiting({
    ...ref,
    action,
    detail: `waits for node ${node} to take it`,
  });
  if (!present) return await settle('cancelled', 'the project or the node was removed', null);
  let result: CloneResult;
  try {
    result = await onNode(input, request, async () => {
      if (action === 'fetch') return false;
      await control.recordCloneWaiting({ ...ref, action, detail: `waits for node ${node} to come back` });
      await tell(listeners, { node, status: 'pending', error: null });
      return true;
    });
  } catch (error) {
    if (isCancellation(error)) throw error;
    const failure = isNotTaken(error)
      ? { code: 'clone_timeout', message: `Node ${node} is not there.` }
      : failureOf(error, { code: 'clone_timeout', message: `Node ${node} did not finish in time` });
    await control.recordCloneFinished({ ...ref, action, outcome: { kind: 'failed', ...failure } });
    return await settle('failed', failure.message, null);
  }
  await control.recordCloneFinished({ ...ref, action, outcome: { kind: 'done', result } });
  return await settle('cloned', null, result);
}

/**
 * Does the work on the node's own queue.
 * @param onAway called when the node does not take it soon; gives whether to wait for the node to come back
 */
async function onNode(
  input: CloneProjectInput,
  request: CloneRequest,
  onAway: () => Promise<boolean>,
): Promise<CloneResult> {
  const work = (wait: { scheduleToStartTimeout: '15 seconds' } | { scheduleToCloseTimeout: '7 days' }) => {
    const activities = proxyActivities<ProjectActivities>({
      taskQueue: nodeQueue(input.node),
      startToCloseTimeout: ATTEMPT_MS,
      heartbeatTimeout: '10 seconds',
      // The clone is over when git is dead and what it had begun is gone, not before.
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      retry: {
        initialInterval: '2 seconds',
        backoffCoefficient: 3,
        maximumInterval: '1 minute',
        maximumAttempts: 5,
      },
      summary: `${request.action} ${request.spec.name} on ${input.node}`,
      ...wait,
    });
    // git gives up a little earlier than the engine, and says why.
    const argument = { spec: request.spec, timeoutMs: ATTEMPT_MS - 60_000 };
    return request.action === 'clone'
      ? activities.cloneRepository(argument)
      : activities.fetchRepository(argument);
  };
  try {
    return await work({ scheduleToStartTimeout: TAKEN_WITHIN });
  } catch (error) {
    if (!isNotTaken(error) || !(await onAway())) throw error;
    return await work({ scheduleToCloseTimeout: WAIT_FOR_NODE });
  }
}

/** Whether the engine found nobody to take an activity in time. */
function isNotTaken(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  return cause instanceof TimeoutFailure && cause.timeoutType === 'SCHEDULE_TO_START';
}

/** Tells workflows that wait for this node. One that has ended meanwhile does not mind. */
async function tell(listeners: ReadonlySet<string>, settled: NodeSettled): Promise<void> {
  for (const workflowId of listeners) {
    try {
      await getExternalWorkflowHandle(workflowId).signal<[NodeSettled]>(MESSAGES.nodeSettled, settled);
    } catch (error) {
      if (isCancellation(error)) throw error;
    }
  }
}
