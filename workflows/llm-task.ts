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
/** A task that this one waits for has ended. */
export const dependencyEnded = defineSignal(MESSAGES.dependencyEnded);

/** How long a route that was found stays good, in milliseconds. */
const ROUTE_MS = 2_000;

/** A task whose dependencies have not completed looks again so often, should a message have been lost. */
const DEPENDENCIES_LOOK = '10 minutes';

const engine = proxyActivities<Pick<ControlActivities, 'writtenDown'>>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '200 milliseconds', maximumInterval: '5 seconds' },
  summary: 'what a worker asked for is written down',
});

/**
 * One LLM task, from the moment it is accepted until it has ended. It alone decides what happens to the task: everything is an event
 * of the state machine (task-state.ts), and what it makes of it is in PostgreSQL before anybody hears of it. A worker is an agent,
 * which takes the task from a Temporal task queue and claims it here, or anybody who leases it over HTTP. A task that failed or is
 * dead, and is queued again, goes on in a new run.
 */
export async function llmTask(input: LlmTaskInput): Promise<TaskState> {
  const { spec } = input;
  const task = new TaskRecord(input, control);
  /** The attempt that was given to Temporal and has not ended. */
  let attempt: Attempt | null = null;
  /** Leases over HTTP that are being given: nothing is scheduled meanwhile. */
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
        // Late: it was given to another meanwhile, or is being taken back.
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
        // Taken back from the queue; an agent that has it already has it.
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
      // Should an agent work on it, it is not wanted any more.
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
      // On its way to whoever is free, and now it is for one node: it is taken back.
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
    // It may have been queued again while that was waited for.
    if (ENDED.has(task.state.status)) return task.state;
    if (!isOver) await continueAsNew<typeof llmTask>({ ...input, state: task.state });
  }

  /** Records a lease. What the task may cost can have been used up while it waited: then it fails, and nobody begins. */
  async function recordClaim(leaseId: string): Promise<void> {
    const { route } = await task.written();
    if (route === null || route.refuse === null || task.state.lease?.id !== leaseId) return;
    task.apply({ type: 'refuse', error: route.refuse });
    await task.written();
    throw task.conflict(route.refuse.message);
  }

  /** Waits for, or does, whatever comes next. */
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

  /** A worker over HTTP has it: until it reports, or its lease runs out. */
  async function awaitWorker(lease: LeaseState): Promise<void> {
    const seen = task.state;
    const left = lease.expiresAt - Date.now();
    if (left > 0) await condition(() => task.state !== seen, left);
    if (task.state === seen) task.apply({ type: 'expire', epoch: lease.epoch });
  }
}

/**
 * Resolves when the engine has written down that this update came. Until then it may forget it, with its worker that dies or by itself,
 * and what PostgreSQL was told of it would be what never was. Agents' claims do without: they are asked again until they are answered.
 */
const isWrittenDown = async (): Promise<void> => await engine.writtenDown();

const newLeaseId = (): string => `lease_${uuid4().replaceAll('-', '').slice(0, 16)}`;
