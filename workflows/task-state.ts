import { isLeasable, isTerminal } from '../contract/tasks/task-status.ts';
import type {
  AuditNote,
  Fence,
  LeaseEnd,
  LeaseState,
  TaskEvent,
  TaskState,
} from '../contract/tasks/task-workflow.ts';
import type { TaskStatus } from '../contract/tasks/tasks.ts';
import type { RunError } from '../contract/tasks/runs.ts';

/** The result of a transition, or why it was refused. */
export type Transition =
  | {
      readonly ok: true;
      readonly state: TaskState;
      /** The lease that the transition ended. */
      readonly ended: LeaseEnd | null;
      readonly audit: readonly AuditNote[];
    }
  | { readonly ok: false; readonly message: string };

/**
 * Returns the pause before another attempt, in milliseconds: 1, 2, 4 s as in the original's orchestrator,
 * doubling to a minute.
 */
export function backoffMs(attempts: number): number {
  return Math.min(60_000, 1_000 * 2 ** Math.max(0, attempts - 1));
}

/** Returns the state of a new task. */
export function initialState(
  given: Pick<TaskState, 'maxAttempts' | 'dispatched' | 'worker' | 'ttlMs' | 'notBefore'>,
): TaskState {
  return {
    status: 'queued',
    seq: 1,
    epoch: 0,
    attempts: 0,
    lease: null,
    cancel: null,
    error: null,
    detail: 'queued',
    ...given,
  };
}

/**
 * The statuses that each event can lead to, by the status before. Every pair that is not here is refused. The property test of
 * `transition` checks that no other step happens, and that each of these does.
 */
export const NEXT_STATUSES: Readonly<
  Record<TaskStatus, Partial<Record<TaskEvent['type'], readonly TaskStatus[]>>>
> = {
  queued: {
    dispatch: ['queued'],
    // To an HTTP worker, or to an agent, which begins at once.
    claim: ['leased', 'running'],
    cancel: ['cancelled'],
    refuse: ['failed'],
  },
  leased: {
    renew: ['running'],
    complete: ['completed'],
    fail: ['queued', 'dead', 'failed'],
    expire: ['queued', 'dead'],
    release: ['queued'],
    cancel: ['cancelled'],
    refuse: ['failed'],
  },
  running: {
    renew: ['running'],
    complete: ['completed'],
    // Cancelled where a cancellation was pending.
    fail: ['queued', 'dead', 'failed', 'cancelled'],
    expire: ['queued', 'dead', 'cancelled'],
    release: ['queued', 'cancelled'],
    // An agent ends its program first: the task keeps running with a pending cancellation.
    cancel: ['running', 'cancelled'],
    stopped: ['cancelled'],
    refuse: ['failed'],
  },
  failed: { requeue: ['queued'] },
  dead: { requeue: ['queued'] },
  completed: {},
  cancelled: {},
};

/**
 * The complete state machine of tasks. Pure: equal state, event and time give an equal result, so a workflow can be replayed.
 *
 * Invariants (task-state.test.ts): a lease exists exactly while the status is leased or running. Each lease
 * epoch is assigned once, and they increase. A write under any other lease than the current one is refused.
 * completed is final. Only a requeue leaves failed and dead.
 * @param now epoch milliseconds
 */
export function transition(state: TaskState, event: TaskEvent, now: number): Transition {
  switch (event.type) {
    case 'dispatch':
      return dispatch(state, event);
    case 'claim':
      return claim(state, event, now);
    case 'renew':
      return renew(state, event.fence, now);
    case 'complete':
      return complete(state, event.fence);
    case 'fail':
      return fail(state, event.fence, event.error, now);
    case 'expire':
      return expire(state, event.epoch);
    case 'release':
      return release(state, event);
    case 'cancel':
      return cancel(state, event, now);
    case 'stopped':
      return stopped(state, event.epoch);
    case 'refuse':
      return refuse(state, event.error);
    case 'requeue':
      return requeue(state, event.by);
  }
}

const refused = (message: string): Transition => ({ ok: false, message });

function became(
  state: TaskState,
  changed: Partial<TaskState>,
  audit: readonly AuditNote[] = [],
  ended: LeaseEnd | null = null,
): Transition {
  return { ok: true, state: { ...state, ...changed, seq: state.seq + 1 }, ended, audit };
}

const note = (action: string, actor: string, detail: string, cause: string): AuditNote => ({
  action,
  actor,
  detail,
  cause,
});

/** Returns the task's status as a sentence for the caller that wants it. */
function standing({ status, lease }: TaskState): string {
  return lease === null ? `The task is ${status}.` : `The task is ${status} by ${lease.worker}.`;
}

function dispatch(state: TaskState, event: Extract<TaskEvent, { type: 'dispatch' }>): Transition {
  if (state.status !== 'queued') return refused(`${standing(state)} Only a queued task can be dispatched.`);
  return became(
    state,
    {
      dispatched: true,
      worker: event.worker ?? state.worker,
      ttlMs: event.ttlMs ?? state.ttlMs,
      once: event.once ?? false,
      detail: 'dispatched',
    },
    [note('task_dispatched', event.by, `to ${event.worker ?? 'any free node'}`, 'it was asked for')],
  );
}

function claim(state: TaskState, event: Extract<TaskEvent, { type: 'claim' }>, now: number): Transition {
  if (!isLeasable(state.status)) return refused(`${standing(state)} Only a queued task can be leased.`);
  const epoch = state.epoch + 1;
  if (event.kind === 'agent' && (!state.dispatched || event.epoch !== epoch)) {
    return refused(`This claim is for lease epoch ${event.epoch ?? 0}; the next one is ${epoch}.`);
  }
  if (state.worker !== null && state.worker !== event.worker) {
    return refused(`The task is for ${state.worker} alone.`);
  }
  const ttlMs = event.ttlMs ?? state.ttlMs;
  const lease: LeaseState = {
    id: event.leaseId,
    epoch,
    worker: event.worker,
    kind: event.kind,
    startedAt: now,
    lastHeartbeat: now,
    ttlMs,
    expiresAt: now + ttlMs,
  };
  const attempts = state.attempts + 1;
  const leased = note(
    'task_leased',
    event.worker,
    `attempt ${attempts} of ${state.maxAttempts}, epoch ${epoch}`,
    event.kind === 'agent' ? 'the agent had a free slot' : 'the worker asked for it',
  );
  // An agent begins at once; an HTTP worker reports the beginning with its first heartbeat.
  const begun = event.kind === 'agent';
  return became(
    state,
    {
      status: begun ? 'running' : 'leased',
      epoch,
      attempts,
      lease,
      notBefore: null,
      error: null,
      detail: `${begun ? 'runs on' : 'leased to'} ${event.worker}`,
    },
    begun ? [leased, note('task_started', event.worker, 'the agent began', 'the lease')] : [leased],
  );
}

/** Returns the current lease if the fence matches it, else the reason for refusing. */
function held(state: TaskState, fence: Fence): LeaseState | string {
  const { lease } = state;
  if (lease === null) return `${standing(state)} Nobody has a lease on it.`;
  if (fence.leaseId === undefined && fence.epoch === undefined) {
    if (lease.kind === 'agent')
      return `The task is with the agent ${lease.worker}: say which lease you speak for.`;
    if (lease.epoch > 1) {
      return 'The task was leased more than once: say which lease you speak for, by lease_id or epoch.';
    }
  }
  const same =
    (fence.leaseId === undefined || fence.leaseId === lease.id) &&
    (fence.epoch === undefined || fence.epoch === lease.epoch) &&
    (fence.worker === undefined || fence.worker === lease.worker);
  return same
    ? lease
    : `The lease is lost: the task is ${lease.worker}'s under lease epoch ${lease.epoch}. Stop working on it.`;
}

function renew(state: TaskState, fence: Fence, now: number): Transition {
  const lease = held(state, fence);
  if (typeof lease === 'string') return refused(lease);
  const renewed = { ...lease, lastHeartbeat: now, expiresAt: now + lease.ttlMs };
  if (state.status === 'running') return became(state, { lease: renewed });
  return became(state, { status: 'running', lease: renewed, detail: `runs on ${lease.worker}` }, [
    note('task_started', lease.worker, 'the worker began', 'its first heartbeat'),
  ]);
}

function complete(state: TaskState, fence: Fence): Transition {
  const lease = held(state, fence);
  if (typeof lease === 'string') return refused(lease);
  const late = state.cancel === null ? '' : ', before it could be cancelled';
  return became(
    state,
    {
      status: 'completed',
      lease: null,
      cancel: null,
      error: null,
      detail: `completed by ${lease.worker}${late}`,
    },
    [note('task_completed', lease.worker, `epoch ${lease.epoch}${late}`, 'the worker said so')],
    { lease, status: 'released', reason: 'completed' },
  );
}

function fail(state: TaskState, fence: Fence, error: RunError, now: number): Transition {
  const lease = held(state, fence);
  if (typeof lease === 'string') return refused(lease);
  const ended: LeaseEnd = { lease, status: 'failed', reason: `${error.code}: ${error.message}` };
  const cause = `${error.code} on ${lease.worker}`;
  if (state.cancel !== null) return cancelled(state, state.cancel.by, 'its program was ended', ended);
  // Applies only to failures that the worker reported. An expired lease is no failure, and the original
  // queued such a task again as well.
  if (!error.retryable || state.once === true) {
    const why = error.retryable ? 'it was dispatched for one attempt' : 'another attempt cannot help';
    return became(
      state,
      {
        status: 'failed',
        lease: null,
        error,
        detail: error.message,
        // As in the original, a task that is queued again must then be dispatched again.
        ...(state.once === true ? { dispatched: false, once: false } : {}),
      },
      [note('task_failed', lease.worker, error.message, `${cause}; ${why}`)],
      ended,
    );
  }
  return again(state, ended, error, cause, now + backoffMs(state.attempts), lease.worker);
}

function expire(state: TaskState, epoch: number): Transition {
  const { lease } = state;
  if (lease?.epoch !== epoch) return refused(`${standing(state)} That lease is over already.`);
  const message = `${lease.worker} sent no heartbeat for ${lease.ttlMs / 1_000} s`;
  const ended: LeaseEnd = { lease, status: 'expired', reason: message };
  if (state.cancel !== null) return cancelled(state, state.cancel.by, message, ended);
  const error: RunError = { code: 'lease_expired', message, retryable: true };
  return again(state, ended, error, 'no heartbeat', null, 'engine');
}

/** Queues the task for another attempt, or ends it as dead when none is left. */
function again(
  state: TaskState,
  ended: LeaseEnd,
  error: RunError,
  cause: string,
  notBefore: number | null,
  actor: string,
): Transition {
  const said = note(
    ended.status === 'expired' ? 'lease_expired' : 'task_attempt_failed',
    actor,
    error.message,
    cause,
  );
  const attempt = `attempt ${state.attempts} of ${state.maxAttempts}`;
  if (state.attempts < state.maxAttempts) {
    return became(
      state,
      { status: 'queued', lease: null, error, notBefore, detail: `${attempt}: ${error.message}` },
      [said, note('task_requeued', 'engine', `after ${attempt}`, cause)],
      ended,
    );
  }
  return became(
    state,
    { status: 'dead', lease: null, error, detail: `${attempt}: ${error.message}` },
    [said, note('task_dead', 'engine', `all ${state.maxAttempts} attempts failed`, cause)],
    ended,
  );
}

function release(state: TaskState, event: Extract<TaskEvent, { type: 'release' }>): Transition {
  const lease = held(state, event.fence);
  if (typeof lease === 'string') return refused(lease);
  const reason = event.reason === '' ? 'released' : event.reason;
  const ended: LeaseEnd = { lease, status: 'released', reason };
  if (state.cancel !== null) return cancelled(state, state.cancel.by, reason, ended);
  return became(
    state,
    {
      status: 'queued',
      lease: null,
      // The task is not at fault, so the attempt does not count.
      attempts: state.attempts - 1,
      detail: `given back by ${lease.worker}: ${reason}`,
    },
    [note('lease_released', event.by, reason, 'the task is queued again')],
    ended,
  );
}

function cancel(state: TaskState, event: Extract<TaskEvent, { type: 'cancel' }>, now: number): Transition {
  if (isTerminal(state.status)) return refused(`${standing(state)} There is nothing to cancel.`);
  if (state.cancel !== null) return refused('The task is being cancelled already.');
  const reason = event.reason === '' ? 'it was asked for' : event.reason;
  const { lease } = state;
  // Its program may still run: the task is canceled once the agent reports its end.
  if (lease?.kind === 'agent') {
    return became(
      state,
      { cancel: { by: event.by, at: now }, detail: `being cancelled on ${lease.worker}` },
      [note('task_cancel_requested', event.by, `its program on ${lease.worker} is being ended`, reason)],
    );
  }
  const ended: LeaseEnd | null = lease === null ? null : { lease, status: 'released', reason: 'cancelled' };
  return cancelled(state, event.by, reason, ended);
}

function cancelled(state: TaskState, by: string, cause: string, ended: LeaseEnd | null): Transition {
  return became(
    state,
    { status: 'cancelled', lease: null, cancel: null, error: null, detail: `cancelled by ${by}` },
    [note('task_cancelled', by, 'cancelled', cause)],
    ended,
  );
}

function stopped(state: TaskState, epoch: number): Transition {
  const { lease, cancel: asked } = state;
  if (lease?.epoch !== epoch || asked === null)
    return refused(`${standing(state)} It was not being cancelled.`);
  const ended: LeaseEnd = { lease, status: 'released', reason: 'cancelled: its program was ended' };
  return cancelled(state, asked.by, 'its program was ended', ended);
}

function refuse(state: TaskState, error: RunError): Transition {
  if (isTerminal(state.status)) return refused(standing(state));
  const { lease } = state;
  const ended: LeaseEnd | null =
    lease === null ? null : { lease, status: 'failed', reason: `${error.code}: ${error.message}` };
  return became(
    state,
    { status: 'failed', lease: null, cancel: null, error, detail: error.message },
    [note('task_failed', 'engine', error.message, error.code)],
    ended,
  );
}

function requeue(state: TaskState, by: string): Transition {
  if (state.status !== 'failed' && state.status !== 'dead') {
    return refused(`${standing(state)} Only a failed or dead task can be queued again.`);
  }
  return became(
    state,
    {
      status: 'queued',
      attempts: 0,
      error: null,
      notBefore: null,
      detail: 'queued again',
    },
    [note('task_requeued', by, `it was ${state.status}`, 'it was asked for')],
  );
}
