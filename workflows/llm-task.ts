import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineSignal,
  defineUpdate,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';
import { ENDED, MESSAGES } from '../contract/names.ts';
import type { Claimed } from '../contract/tasks/runs.ts';
import type {
  ClaimRequest,
  FinishRequest,
  Fence,
  LeaseRequest,
  LeaseState,
  LlmTaskInput,
  TaskState,
} from '../contract/tasks/task-workflow.ts';
import { Attempt, scheduleRun } from './task-attempt.ts';
import { TaskRecord } from './task-record.ts';
import { control } from './control.ts';

export const acceptTask = defineUpdate<TaskState>(MESSAGES.acceptTask);
export const claimTask = defineUpdate<Claimed, [ClaimRequest]>(MESSAGES.claimTask);
export const leaseTask = defineUpdate<LeaseState, [LeaseRequest]>(MESSAGES.leaseTask);
export const renewLease = defineUpdate<LeaseState, [Fence]>(MESSAGES.renewLease);
export const finishTask = defineUpdate<TaskState, [FinishRequest]>(MESSAGES.finishTask);
export const releaseLease = defineUpdate<TaskState, [Fence & { by: string; reason: string }]>(
  MESSAGES.releaseLease,
);
export const dispatchTask = defineUpdate<
  TaskState,
  [{ by: string; worker: string | null; ttlMs: number | null; once?: boolean }]
>(MESSAGES.dispatchTask);
export const cancelTask = defineUpdate<TaskState, [{ by: string; reason: string }]>(MESSAGES.cancelTask);
export const requeueTask = defineUpdate<TaskState, [{ by: string }]>(MESSAGES.requeueTask);
/** A dependency of this task has ended. */
export const dependencyEnded = defineSignal(MESSAGES.dependencyEnded);

/** How long a route may be reused, in milliseconds. */
const ROUTE_MS = 2_000;

/** How often a task checks its unfinished dependencies, in case a signal was lost. */
const DEPENDENCIES_LOOK = '10 minutes';

const engine = proxyActivities<Pick<ControlActivities, 'writtenDown'>>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '200 milliseconds', maximumInterval: '5 seconds' },
  summary: 'what a worker asked for is written down',
});

/**
 * Runs one LLM task from acceptance until its end. Only this workflow decides what happens to the task: everything
 * is an event of the state machine (task-state.ts), and an update is answered only after its result is in
 * PostgreSQL. The worker is an agent or an HTTP client. An agent takes the task from a Temporal task queue and claims
 * it here; an HTTP client leases it. A failed or dead task that is queued again continues in a new run.
 *
 * What may interleave here, and why it is safe: handlers and the main loop interleave only at an `await`.
 * - A validator's answer is outdated once its handler has waited. Therefore `task.apply` checks every event again and
 *   changes the state without waiting; it refuses a stale lease by its id or lease epoch.
 * - `step` remembers the state that it decided on, and continues after an `await` only if that state is still
 *   current.
 * - While a lease over HTTP is being given, `giving` keeps `step` from scheduling an attempt. A queued attempt is
 *   withdrawn first; a late claim of it is refused, because its scope is canceled or its token is no longer current.
 * - `TaskRecord` writes changes one after another, so PostgreSQL receives them in the order of the events.
 * - The run ends only after all handlers have finished, and then checks the state again: one of them may have queued
 *   the task again.
 */
export async function llmTask(input: LlmTaskInput): Promise<TaskState> {
  const { spec } = input;
  const task = new TaskRecord(input, control);
  /** The attempt that was scheduled on Temporal and has not ended. */
  let attempt: Attempt | null = null;
  /** Number of leases over HTTP that are being given; nothing is scheduled while it is positive. */
  let giving = 0;
  let looks = 0;

  setHandler(acceptTask, async () => {
    await task.written();
    return task.state;
  });
  setHandler(
    claimTask,
    async ({ epoch, worker }) => {
      const leaseId = newLeaseId();
      task.apply({ type: 'claim', kind: 'agent', worker, epoch, leaseId, ttlMs: null });
      task.idle = 0;
      const { lease } = task.state;
      await recordClaim(leaseId);
      return { leaseId, epoch, expiresAt: lease?.expiresAt ?? 0 };
    },
    {
      validator: ({ epoch, token, worker }) => {
        task.check({ type: 'claim', kind: 'agent', worker, epoch, leaseId: '', ttlMs: null });
        // The claim is late: the attempt was given to another node, or is being withdrawn.
        if (attempt === null || attempt.token !== token || attempt.scope.consideredCancelled) {
          throw task.conflict('This attempt was given to another node, or taken back.');
        }
      },
    },
  );
  setHandler(
    leaseTask,
    async ({ worker, ttlMs }) => {
      giving += 1;
      try {
        await isWrittenDown();
        // Withdraw the attempt from the queue; if an agent has claimed it, that agent keeps it.
        await attempt?.withdraw(() => task.state.status === 'queued');
        const leaseId = newLeaseId();
        task.apply({ type: 'claim', kind: 'http', worker, epoch: null, leaseId, ttlMs });
        const { lease } = task.state;
        await recordClaim(leaseId);
        if (lease === null) throw task.conflict('The lease was lost at once.');
        return lease;
      } finally {
        giving -= 1;
      }
    },
    {
      validator: ({ worker, ttlMs }) =>
        task.check({ type: 'claim', kind: 'http', worker, epoch: null, leaseId: '', ttlMs }),
    },
  );
  setHandler(
    renewLease,
    async (fence) => {
      task.apply({ type: 'renew', fence });
      const { lease } = task.state;
      await task.written();
      if (lease === null) throw task.conflict('The lease is lost.');
      return lease;
    },
    { validator: (fence) => task.check({ type: 'renew', fence }) },
  );
  setHandler(
    finishTask,
    async (finish) => {
      await isWrittenDown();
      task.finish(finish);
      // If an agent works on the task, its result is no longer needed.
      attempt?.scope.cancel();
      await task.written();
      return task.state;
    },
    { validator: (finish) => task.check(TaskRecord.endOf(finish)) },
  );
  setHandler(
    releaseLease,
    async ({ by, reason, ...fence }) => {
      task.apply({ type: 'release', fence, by, reason });
      attempt?.scope.cancel();
      await task.written();
      return task.state;
    },
    { validator: ({ by, reason, ...fence }) => task.check({ type: 'release', fence, by, reason }) },
  );
  setHandler(
    dispatchTask,
    async (asked) => {
      task.apply({ type: 'dispatch', ...asked });
      // The attempt is queued for any free node, but the task is now for one node, so the attempt is
      // withdrawn.
      if (asked.worker !== null) attempt?.scope.cancel();
      await task.written();
      return task.state;
    },
    { validator: (asked) => task.check({ type: 'dispatch', ...asked }) },
  );
  setHandler(
    cancelTask,
    async (asked) => {
      task.apply({ type: 'cancel', ...asked });
      attempt?.scope.cancel();
      await task.written();
      return task.state;
    },
    { validator: (asked) => task.check({ type: 'cancel', ...asked }) },
  );
  setHandler(
    requeueTask,
    async ({ by }) => {
      task.apply({ type: 'requeue', by });
      await task.written();
      return task.state;
    },
    { validator: ({ by }) => task.check({ type: 'requeue', by }) },
  );
  setHandler(dependencyEnded, () => {
    looks += 1;
  });

  for (;;) {
    await step();
    await task.written();
    const isOver = ENDED.has(task.state.status) && giving === 0;
    if (!isOver && !workflowInfo().continueAsNewSuggested) continue;
    await condition(allHandlersFinished);
    // The task may have been queued again during that wait.
    if (ENDED.has(task.state.status)) return task.state;
    if (!isOver) await continueAsNew<typeof llmTask>({ ...input, state: task.state });
  }

  /**
   * Records a lease. If the task's budget was used up while it waited, the task fails and no worker begins.
   */
  async function recordClaim(leaseId: string): Promise<void> {
    const { route } = await task.written();
    if (route === null || route.refuse === null || task.state.lease?.id !== leaseId) return;
    task.apply({ type: 'refuse', error: route.refuse });
    await task.written();
    throw task.conflict(route.refuse.message);
  }

  /** Does the next thing for the task's state, or waits for the state to change. */
  async function step(): Promise<void> {
    await task.written();
    const seen = task.state;
    setCurrentDetails(seen.detail);
    if (ENDED.has(seen.status)) return;
    if (giving > 0) return await condition(() => giving === 0);
    if (seen.lease !== null) return await awaitWorker(seen.lease);
    const now = Date.now();
    const changed = (): boolean => task.state !== seen || giving > 0;
    if (seen.notBefore !== null && seen.notBefore > now) {
      await condition(changed, seen.notBefore - now);
      return;
    }
    if (!seen.dispatched) {
      await condition(changed);
      return;
    }
    const route = await task.route(ROUTE_MS);
    if (task.state !== seen || giving > 0) return;
    if (route.refuse !== null) return task.apply({ type: 'refuse', error: route.refuse });
    if (route.unmet.length > 0) {
      const had = looks;
      task.forgetRoute();
      await condition(() => changed() || looks !== had, DEPENDENCIES_LOOK);
      return;
    }
    attempt = new Attempt(seen.epoch + 1);
    await scheduleRun({ spec, task, attempt, route });
    attempt = null;
  }

  /** Waits until the HTTP worker with the lease reports, or the lease expires. */
  async function awaitWorker(lease: LeaseState): Promise<void> {
    const seen = task.state;
    const left = lease.expiresAt - Date.now();
    if (left > 0) await condition(() => task.state !== seen, left);
    if (task.state === seen) task.apply({ type: 'expire', epoch: lease.epoch });
  }
}

/**
 * Waits until Temporal has persisted this update. Before that, a crash can make Temporal drop it, and
 * PostgreSQL would record an update that never happened. Claims of agents need no such wait: an agent repeats
 * its claim until it gets an answer.
 */
const isWrittenDown = async (): Promise<void> => await engine.writtenDown();

const newLeaseId = (): string => `lease_${uuid4().replaceAll('-', '').slice(0, 16)}`;
