import { condition, proxyActivities, setCurrentDetails, uuid4 } from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';
import type { Claimed } from '../contract/tasks/runs.ts';
import { isTerminal } from '../contract/tasks/task-status.ts';
import type {
  ClaimRequest,
  FinishRequest,
  Fence,
  LeaseRequest,
  LeaseState,
  LlmTaskInput,
  TaskEvent,
  TaskState,
} from '../contract/tasks/task-workflow.ts';
import { control } from './control.ts';
import type { DispatchRequest, ReleaseRequest } from './llm-task-messages.ts';
import { Attempt, scheduleRun } from './task-attempt.ts';
import { TaskRecord } from './task-record.ts';

/** How long a route may be reused, in milliseconds. */
const ROUTE_MS = 2_000;

/** How often a task checks its unfinished dependencies, in case a signal was lost. */
const DEPENDENCIES_LOOK = '10 minutes';

const engine = proxyActivities<Pick<ControlActivities, 'writtenDown'>>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '200 milliseconds', maximumInterval: '5 seconds' },
  summary: 'a request of a worker is persisted',
});

/**
 * Turns requests into events of the state machine, and offers the task to workers. Each request has a method; those that can be refused
 * have a second one, `check…`, which Temporal calls first. It throws ApplicationFailure `conflict` and changes nothing.
 */
export class TaskCoordinator {
  readonly #input: LlmTaskInput;
  readonly #task: TaskRecord;
  /** The attempt that was scheduled on Temporal and has not ended. */
  #attempt: Attempt | null = null;
  /** Number of leases over HTTP that are being given; nothing is scheduled while it is positive. */
  #giving = 0;
  /** Number of signals about ended dependencies. */
  #endedDependencies = 0;

  constructor(input: LlmTaskInput) {
    this.#input = input;
    this.#task = new TaskRecord(input, control);
  }

  get state(): TaskState {
    return this.#task.state;
  }

  /** Whether the task has ended and nobody is being given a lease of it. */
  get isOver(): boolean {
    return isTerminal(this.state.status) && this.#giving === 0;
  }

  async accept(): Promise<TaskState> {
    return await this.#recorded();
  }

  checkClaim({ epoch, token, worker }: ClaimRequest): void {
    this.#task.check({ type: 'claim', kind: 'agent', worker, epoch, leaseId: '', ttlMs: null });
    // The claim is late: the attempt was given to another node, or is being withdrawn.
    const attempt = this.#attempt;
    if (attempt === null || attempt.token !== token || attempt.scope.consideredCancelled) {
      throw this.#task.conflict('This attempt was given to another node, or taken back.');
    }
  }

  async claim({ epoch, worker }: ClaimRequest): Promise<Claimed> {
    const leaseId = newLeaseId();
    this.#task.apply({ type: 'claim', kind: 'agent', worker, epoch, leaseId, ttlMs: null });
    this.#task.idle = 0;
    const { lease } = this.state;
    await this.#recordClaim(leaseId);
    return { leaseId, epoch, expiresAt: lease?.expiresAt ?? 0 };
  }

  checkLease({ worker, ttlMs }: LeaseRequest): void {
    this.#task.check({ type: 'claim', kind: 'http', worker, epoch: null, leaseId: '', ttlMs });
  }

  async lease({ worker, ttlMs }: LeaseRequest): Promise<LeaseState> {
    this.#giving += 1;
    try {
      await awaitDurableUpdate();
      // Withdraw the attempt from the queue; if an agent has claimed it, that agent keeps it.
      await this.#attempt?.withdraw(() => this.state.status === 'queued');
      const leaseId = newLeaseId();
      this.#task.apply({ type: 'claim', kind: 'http', worker, epoch: null, leaseId, ttlMs });
      const { lease } = this.state;
      await this.#recordClaim(leaseId);
      if (lease === null) throw this.#task.conflict('The lease was lost at once.');
      return lease;
    } finally {
      this.#giving -= 1;
    }
  }

  checkRenew(fence: Fence): void {
    this.#task.check({ type: 'renew', fence });
  }

  async renew(fence: Fence): Promise<LeaseState> {
    this.#task.apply({ type: 'renew', fence });
    const { lease } = this.state;
    await this.#task.written();
    if (lease === null) throw this.#task.conflict('The lease is lost.');
    return lease;
  }

  checkFinish(finish: FinishRequest): void {
    this.#task.check(TaskRecord.endOf(finish));
  }

  async finish(finish: FinishRequest): Promise<TaskState> {
    await awaitDurableUpdate();
    this.#task.finish(finish);
    // If an agent works on the task, its result is no longer needed.
    this.#attempt?.scope.cancel();
    return await this.#recorded();
  }

  checkRelease(request: ReleaseRequest): void {
    this.#task.check(releaseEvent(request));
  }

  async release(request: ReleaseRequest): Promise<TaskState> {
    this.#task.apply(releaseEvent(request));
    this.#attempt?.scope.cancel();
    return await this.#recorded();
  }

  checkDispatch(request: DispatchRequest): void {
    this.#task.check({ type: 'dispatch', ...request });
  }

  async dispatch(request: DispatchRequest): Promise<TaskState> {
    this.#task.apply({ type: 'dispatch', ...request });
    // The attempt is queued for any free node, but the task is now for one node, so the attempt is withdrawn.
    if (request.worker !== null) this.#attempt?.scope.cancel();
    return await this.#recorded();
  }

  checkCancel(request: { by: string; reason: string }): void {
    this.#task.check({ type: 'cancel', ...request });
  }

  async cancel(request: { by: string; reason: string }): Promise<TaskState> {
    this.#task.apply({ type: 'cancel', ...request });
    this.#attempt?.scope.cancel();
    return await this.#recorded();
  }

  checkRequeue({ by }: { by: string }): void {
    this.#task.check({ type: 'requeue', by });
  }

  async requeue({ by }: { by: string }): Promise<TaskState> {
    this.#task.apply({ type: 'requeue', by });
    return await this.#recorded();
  }

  dependencyEnded(): void {
    this.#endedDependencies += 1;
  }

  /** Does the next thing for the task's state, or waits for the state to change; then waits until the result is recorded. */
  async step(): Promise<void> {
    await this.#next();
    await this.#task.written();
  }

  async #next(): Promise<void> {
    await this.#task.written();
    const seen = this.state;
    setCurrentDetails(seen.detail);
    if (isTerminal(seen.status)) return;
    if (this.#giving > 0) return await condition(() => this.#giving === 0);
    if (seen.lease !== null) return await this.#awaitHttpWorker(seen.lease);
    const now = Date.now();
    const changed = (): boolean => this.state !== seen || this.#giving > 0;
    if (seen.notBefore !== null && seen.notBefore > now) {
      await condition(changed, seen.notBefore - now);
      return;
    }
    if (!seen.dispatched) {
      await condition(changed);
      return;
    }
    const route = await this.#task.route(ROUTE_MS);
    if (changed()) return;
    if (route.refuse !== null) return this.#task.apply({ type: 'refuse', error: route.refuse });
    if (route.unmet.length > 0) {
      const had = this.#endedDependencies;
      this.#task.forgetRoute();
      await condition(() => changed() || this.#endedDependencies !== had, DEPENDENCIES_LOOK);
      return;
    }
    const attempt = new Attempt(seen.epoch + 1);
    this.#attempt = attempt;
    await scheduleRun({ spec: this.#input.spec, task: this.#task, attempt, route });
    this.#attempt = null;
  }

  /** Waits until the HTTP worker with the lease reports, or the lease expires. */
  async #awaitHttpWorker(lease: LeaseState): Promise<void> {
    const seen = this.state;
    const left = lease.expiresAt - Date.now();
    if (left > 0) await condition(() => this.state !== seen, left);
    if (this.state === seen) this.#task.apply({ type: 'expire', epoch: lease.epoch });
  }

  /** Records a lease. If the task's budget was used up while it waited, the task fails and no worker begins. */
  async #recordClaim(leaseId: string): Promise<void> {
    const { route } = await this.#task.written();
    if (route === null || route.refuse === null || this.state.lease?.id !== leaseId) return;
    this.#task.apply({ type: 'refuse', error: route.refuse });
    await this.#task.written();
    throw this.#task.conflict(route.refuse.message);
  }

  /** Waits until everything so far is in PostgreSQL. @returns the state then */
  async #recorded(): Promise<TaskState> {
    await this.#task.written();
    return this.state;
  }
}

const releaseEvent = ({ by, reason, ...fence }: ReleaseRequest): TaskEvent => ({
  type: 'release',
  fence,
  by,
  reason,
});

/**
 * Waits until Temporal has persisted this update. Before that, a crash can make Temporal drop it, and
 * PostgreSQL would record an update that never happened. Claims of agents need no such wait: an agent repeats
 * its claim until it gets an answer.
 */
const awaitDurableUpdate = async (): Promise<void> => await engine.writtenDown();

const newLeaseId = (): string => `lease_${uuid4().replaceAll('-', '').slice(0, 16)}`;
