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
import { failureOf, isNotTaken } from './activity-failure.ts';
import { control } from './control.ts';

export const requestClone = defineSignal<[CloneRequest]>(MESSAGES.requestClone);
/** Cancels the current request and drops earlier ones; requests that arrive afterwards are served. */
export const cancelClone = defineSignal(MESSAGES.cancelClone);

/** Time limit for git per attempt, in milliseconds; after it, no clone is shown as cloning. */
const GIT_MS = 2 * 3_600_000;

/**
 * Time limit for an attempt including its wait among the node's other clones. Heartbeats show that it is
 * alive.
 */
const ATTEMPT_MS = 24 * 3_600_000;

/**
 * A node that has not taken the work by then is away or busy: the status says so, and the requester stops
 * waiting.
 */
const TAKEN_WITHIN = '15 seconds';

/** How long an offline node has to come back and do the work. */
const WAIT_FOR_NODE = '7 days';

/** How long a run that was started without a request waits for one. */
const NO_REQUEST_WAIT = '5 seconds';

/** The outcome of one request, for workflows that wait for it. */
type Settled = Omit<NodeSettled, 'node'> & { readonly result: CloneResult | null };

/** A request that is being served. */
interface Current {
  readonly request: CloneRequest;
  /** Workflows to notify of the outcome. */
  readonly listeners: Set<string>;
  readonly scope: CancellationScope;
  /** Whether its node is known to be away. */
  away: boolean;
  /**
   * Why a message canceled its scope, if one did; `done` once the node has answered, after which no request
   * can join.
   */
  ended: 'cancelled' | 'superseded' | 'done' | null;
}

/**
 * Keeps one project's clone on one node: clones, updates, inspects, or resets it to the remote. A request
 * equal to the current one joins it; one with newer settings supersedes it. Cancellation ends git on the node
 * and removes its unfinished work.
 */
export async function cloneProject(input: CloneProjectInput): Promise<Settled | null> {
  const { node } = input;
  const requests: CloneRequest[] = [...(input.pending ?? [])];
  /** Listeners of requests that were canceled before their turn. */
  const dropped = new Set<string>();
  let current: Current | null = null;

  setHandler(requestClone, async (request) => {
    const listeners = listenersOf([request]);
    if (current === null || current.ended !== null) requests.push(request);
    // An update is requested because something is new, and the running one may have asked the remote before
    // that.
    else if (request.action !== 'update' && isSameRequest(current.request, request)) {
      for (const listener of listeners) current.listeners.add(listener);
      if (current.away) await notifyListeners(listeners, { node, status: 'pending', error: null });
    } else if (current.away && request.action !== 'clone') {
      await notifyListeners(listeners, { node, status: 'failed', error: `Node ${node} is not there.` });
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
      // A request may have arrived during that wait.
      if (requests.length > 0 || dropped.size > 0) continue;
      return last;
    }
    // Equal requests that arrived since are served by this round.
    const same = requests.filter((other) => isSameRequest(other, request));
    requests.splice(0, requests.length, ...requests.filter((other) => !isSameRequest(other, request)));
    const listeners = listenersOf([request, ...same]);
    const round: Current = { request, listeners, scope: new CancellationScope(), away: false, ended: null };
    current = round;
    try {
      last = await round.scope.run(() => serve(input, round, takeFetches));
    } catch (error) {
      if (!isCancellation(error)) {
        await notifyListeners(listeners, { node, status: 'failed', error: String(error) });
        throw error;
      }
      last = await CancellationScope.nonCancellable(() => recordCancel(input, round, requests));
      // A person canceled the whole workflow, for example on Temporal's page.
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

  /** Removes the waiting requests that are not worth waiting for an absent node: all except clones. */
  function takeFetches(): Set<string> {
    const fetches = requests.filter(({ action }) => action !== 'clone');
    requests.splice(0, requests.length, ...requests.filter(({ action }) => action === 'clone'));
    return listenersOf(fetches);
  }

  async function tellDropped(): Promise<void> {
    const listeners = new Set(dropped);
    dropped.clear();
    await notifyListeners(listeners, { node, status: 'cancelled', error: null });
  }
}

/** Records that a round was canceled. A superseded round passes its listeners on to the newer request. */
async function recordCancel(
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
  await notifyListeners(listeners, { node: input.node, status: 'cancelled', error: null });
  return cancelled;
}

const isSameRequest = (a: CloneRequest, b: CloneRequest): boolean =>
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
    await notifyListeners(listeners, { node, status, error });
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
      await notifyListeners(listeners, { node, status: 'pending', error: null });
      await notifyListeners(takeFetches(), { node, status: 'failed', error: `Node ${node} is not there.` });
      return true;
    });
    round.ended ??= 'done';
  } catch (error) {
    // If its node died before the cancellation, Temporal's timeout comes first.
    if (isCancellation(error) || isRoundEnding(round))
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
  // Finished work must be recorded, even if a cancellation arrives.
  return await CancellationScope.nonCancellable(async () => {
    await control.recordCloneFinished({ ...ref, action, outcome: { kind: 'done', result } });
    return await settle('cloned', null, result);
  });
}

const isRoundEnding = ({ ended }: Current): boolean => ended === 'cancelled' || ended === 'superseded';
const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/**
 * Does the work on the node's own queue.
 * @param onAway called when the node does not take it soon; returns whether to wait until the node comes back
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

/** Notifies workflows that wait for this node. Ignores those that have ended. */
async function notifyListeners(listeners: ReadonlySet<string>, settled: NodeSettled): Promise<void> {
  for (const workflowId of listeners) {
    try {
      await getExternalWorkflowHandle(workflowId).signal<[NodeSettled]>(MESSAGES.nodeSettled, settled);
    } catch (error) {
      if (isCancellation(error)) throw error;
    }
  }
}
