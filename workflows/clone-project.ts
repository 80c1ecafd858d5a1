import {
  CancellationScope,
  CancelledFailure,
  allHandlersFinished,
  condition,
  continueAsNew,
  defineSignal,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ProjectActivities } from '../activities/node/projects.ts';
import type { CloneResult, CloneStatus } from '../contract/projects/projects.ts';
import { MESSAGES, nodeQueue } from '../contract/names.ts';
import type { CloneProjectInput, CloneRequest, NodeSettled } from '../contract/workflows.ts';
import { GIT_ACTIVITY } from './git-activity.ts';
import { failureOf, isNotTaken } from './failure-of.ts';
import { control } from './control.ts';

export const requestClone = defineSignal<[CloneRequest]>(MESSAGES.requestClone);
/** Ends what runs and forgets what was asked before; what is asked after it is done. */
export const cancelClone = defineSignal(MESSAGES.cancelClone);

/** How long git may take for one attempt, in milliseconds: after this nothing shows as cloning any more. */
const GIT_MS = 2 * 3_600_000;

/** The same with the time that an agent lets it wait for its turn among the node's other clones. Heartbeats say that it lives. */
const ATTEMPT_MS = 24 * 3_600_000;

/** A node that has not taken the work by then is away (or busy): the status says so, and who asked need not wait for it. */
const TAKEN_WITHIN = '15 seconds';

/** How long an offline node may take to come back and do it. */
const WAIT_FOR_NODE = '7 days';

/** How long a run that was started without any request waits for one. */
const NO_REQUEST_WAIT = '5 seconds';

/** What came of one request, for whoever waits for the workflow. */
type Settled = Omit<NodeSettled, 'node'> & { readonly result: CloneResult | null };

/** A request that is being served. */
interface Current {
  readonly request: CloneRequest;
  /** Workflows that are to hear how it ends. */
  readonly listeners: Set<string>;
  readonly scope: CancellationScope;
  /** Whether its node is known to be away. */
  away: boolean;
  /** Why its scope was cancelled, if it was by a message; `done` when the node has answered: nobody joins it any more. */
  ended: 'cancelled' | 'superseded' | 'done' | null;
}

/**
 * Keeps one project's clone on one node: makes it, brings it up to date, looks at it, or makes it as the remote. A request that comes in while the
 * same is being done joins it; one with newer settings takes its place. Cancelling ends git on the node and removes what it had
 * begun.
 */
export async function cloneProject(input: CloneProjectInput): Promise<Settled | null> {
  const { node } = input;
  const requests: CloneRequest[] = [...(input.pending ?? [])];
  /** Who asked for what was cancelled before its turn. */
  const dropped = new Set<string>();
  let current: Current | null = null;

  setHandler(requestClone, async (request) => {
    const listeners = listenersOf([request]);
    if (current === null || current.ended !== null) requests.push(request);
    // An update is asked for because something is new: what runs may have asked the remote before that.
    else if (request.action !== 'update' && isSame(current.request, request)) {
      for (const listener of listeners) current.listeners.add(listener);
      if (current.away) await tell(listeners, { node, status: 'pending', error: null });
    } else if (current.away && request.action !== 'clone') {
      await tell(listeners, { node, status: 'failed', error: `Node ${node} is not there.` });
    } else {
      requests.push(request);
      if (current.request.action === 'clone' && request.action === 'clone') {
        current.ended = 'superseded';
        current.scope.cancel();
      }
    }
  });
  setHandler(cancelClone, () => {
    for (const listener of listenersOf(requests.splice(0))) dropped.add(listener);
    if (current === null || current.ended === 'done') return;
    current.ended = 'cancelled';
    current.scope.cancel();
  });

  let last: Settled | null = null;
  const begun = (): boolean => requests.length > 0 || dropped.size > 0;
  await condition(begun, NO_REQUEST_WAIT);
  for (;;) {
    const request = requests.shift();
    if (request === undefined) {
      await tellDropped();
      await condition(allHandlersFinished);
      // Something may have come in while that was waited for.
      if (requests.length > 0 || dropped.size > 0) continue;
      return last;
    }
    // Whoever asked for the same meanwhile is served by this very round.
    const same = requests.filter((other) => isSame(other, request));
    requests.splice(0, requests.length, ...requests.filter((other) => !isSame(other, request)));
    const listeners = listenersOf([request, ...same]);
    const round: Current = { request, listeners, scope: new CancellationScope(), away: false, ended: null };
    current = round;
    try {
      last = await round.scope.run(() => serve(input, round, takeFetches));
    } catch (error) {
      if (!isCancellation(error)) {
        await tell(listeners, { node, status: 'failed', error: String(error) });
        throw error;
      }
      last = await CancellationScope.nonCancellable(() => afterCancel(input, round, requests));
      // Somebody cancelled the workflow as a whole, in Temporal's own page.
      if (round.ended === null) {
        for (const listener of listenersOf(requests)) dropped.add(listener);
        await CancellationScope.nonCancellable(tellDropped);
        throw error;
      }
    }
    current = null;
    await tellDropped();
    if (workflowInfo().continueAsNewSuggested && requests.length > 0) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof cloneProject>({ ...input, pending: requests });
    }
  }

  /** Takes what is not worth waiting for a node that is away out of what waits: only a clone is. */
  function takeFetches(): Set<string> {
    const fetches = requests.filter(({ action }) => action !== 'clone');
    requests.splice(0, requests.length, ...requests.filter(({ action }) => action === 'clone'));
    return listenersOf(fetches);
  }

  async function tellDropped(): Promise<void> {
    const listeners = new Set(dropped);
    dropped.clear();
    await tell(listeners, { node, status: 'cancelled', error: null });
  }
}

/** Records that a round was cancelled; a round that a newer request replaced hands its listeners on to that one. */
async function afterCancel(
  input: CloneProjectInput,
  { request, listeners, ended }: Current,
  requests: CloneRequest[],
): Promise<Settled> {
  const cancelled: Settled = { status: 'cancelled', error: null, result: null };
  const next = ended === 'superseded' ? requests.find(({ action }) => action === 'clone') : undefined;
  if (next !== undefined) {
    requests.push(...[...listeners].map((notify) => ({ ...next, notify })));
    return cancelled;
  }
  await control.recordCloneFinished({
    ...refOf(input),
    action: request.action,
    outcome: { kind: 'cancelled' },
  });
  await tell(listeners, { node: input.node, status: 'cancelled', error: null });
  return cancelled;
}

const isSame = (a: CloneRequest, b: CloneRequest): boolean =>
  a.action === b.action && a.expected === b.expected && JSON.stringify(a.spec) === JSON.stringify(b.spec);

const listenersOf = (requests: readonly CloneRequest[]): Set<string> =>
  new Set(requests.flatMap(({ notify }) => (notify === undefined ? [] : [notify])));

const refOf = ({ projectId, node }: CloneProjectInput) => {
  const { workflowId, runId } = workflowInfo();
  return { projectId, node, workflowId, runId };
};

async function serve(
  input: CloneProjectInput,
  round: Current,
  takeFetches: () => Set<string>,
): Promise<Settled> {
  const { node } = input;
  const { request, listeners } = round;
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
      if (action !== 'clone') return false;
      round.away = true;
      await control.recordCloneWaiting({ ...ref, action, detail: `waits for node ${node} to come back` });
      await tell(listeners, { node, status: 'pending', error: null });
      await tell(takeFetches(), { node, status: 'failed', error: `Node ${node} is not there.` });
      return true;
    });
    round.ended ??= 'done';
  } catch (error) {
    // Cancelled while its node was dead: the engine's time-out comes first then.
    if (isCancellation(error) || isEnding(round))
      throw new CancelledFailure('cancelled', undefined, asError(error));
    round.ended = 'done';
    const failure = isNotTaken(error)
      ? { code: 'clone_timeout', message: `Node ${node} is not there.` }
      : failureOf(error, { code: 'clone_timeout', message: `Node ${node} did not finish in time` });
    return await CancellationScope.nonCancellable(async () => {
      await control.recordCloneFinished({ ...ref, action, outcome: { kind: 'failed', ...failure } });
      return await settle('failed', failure.message, null);
    });
  }
  // What is done is done, whatever is asked meanwhile.
  return await CancellationScope.nonCancellable(async () => {
    await control.recordCloneFinished({ ...ref, action, outcome: { kind: 'done', result } });
    return await settle('cloned', null, result);
  });
}

const isEnding = ({ ended }: Current): boolean => ended === 'cancelled' || ended === 'superseded';
const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/**
 * Does the work on the node's own queue.
 * @param onAway called when the node does not take it soon; gives whether to wait for the node to come back
 */
async function onNode(
  input: CloneProjectInput,
  request: CloneRequest,
  onAway: () => Promise<boolean>,
): Promise<CloneResult> {
  const work = (
    wait: { scheduleToStartTimeout: typeof TAKEN_WITHIN } | { scheduleToCloseTimeout: typeof WAIT_FOR_NODE },
  ) => {
    const activities = proxyActivities<ProjectActivities>({
      taskQueue: nodeQueue(input.node),
      startToCloseTimeout: ATTEMPT_MS,
      ...GIT_ACTIVITY,
      summary: `${request.action} ${request.spec.name} on ${input.node}`,
      ...wait,
    });
    const argument = { spec: request.spec, timeoutMs: GIT_MS };
    switch (request.action) {
      case 'clone':
      case 'update':
        return activities.cloneRepository(argument);
      case 'fetch':
        return activities.fetchRepository(argument);
      case 'reset':
        return activities.resetRepository({ ...argument, expected: request.expected ?? '' });
    }
  };
  try {
    return await work({ scheduleToStartTimeout: TAKEN_WITHIN });
  } catch (error) {
    if (!isNotTaken(error) || !(await onAway())) throw error;
    return await work({ scheduleToCloseTimeout: WAIT_FOR_NODE });
  }
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
