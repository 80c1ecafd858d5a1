import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control/index.ts';
import type { RunReport } from '../contract/tasks/runs.ts';
import type {
  FinishRequest,
  LlmTaskInput,
  NewArtifact,
  Recorded,
  Route,
  TaskChange,
  TaskEvent,
  TaskState,
} from '../contract/tasks/task-workflow.ts';
import { isTerminal } from '../contract/tasks/task-status.ts';
import type { TaskEnd } from '../contract/tasks/webhooks.ts';
import { initialState, transition } from './task-state.ts';

type Control = Pick<ControlActivities, 'recordTask' | 'routeTask' | 'tellDependents' | 'tellEnd'>;

/**
 * Holds a task's state inside its workflow, and writes everything that happens to it to PostgreSQL in order.
 */
export class TaskRecord {
  readonly #input: LlmTaskInput;
  readonly #control: Control;
  #state: TaskState;
  /** Changes that were not written yet. */
  #changes: TaskChange[] = [];
  #writing: Promise<void> = Promise.resolve();
  #last: Recorded = { route: null, dependents: [] };
  /** Whether the row must still be inserted. */
  #isNew: boolean;
  /** How many times in a row it was offered and no worker began. */
  idle = 0;
  /** How many times it was offered. */
  given = 0;

  constructor(input: LlmTaskInput, control: Control) {
    this.#input = input;
    this.#control = control;
    this.#isNew = input.state === null;
    this.#state =
      input.state ??
      initialState({ maxAttempts: input.spec.maxAttempts, ttlMs: input.spec.ttlMs, ...input.first });
    if (!this.#isNew) return;
    const created = {
      action: 'task_created',
      actor: input.createdBy,
      detail: 'queued',
      cause: 'it was asked for',
    };
    this.#changes.push(this.#change({ audit: [created] }));
  }

  get state(): TaskState {
    return this.#state;
  }

  /**
   * Throws when the state machine refuses an event; for validators of updates.
   * @throws ApplicationFailure conflict
   */
  check(event: TaskEvent): void {
    const next = transition(this.#state, event, Date.now());
    if (!next.ok) throw this.conflict(next.message);
  }

  /**
   * Applies an event. The next `written` stores it.
   * @throws ApplicationFailure conflict when the state machine refuses it; then nothing changed
   */
  apply(event: TaskEvent, what: { report?: RunReport; artifacts?: readonly NewArtifact[] } = {}): void {
    const next = transition(this.#state, event, Date.now());
    if (!next.ok) throw this.conflict(next.message);
    this.#state = next.state;
    this.#changes.push(
      this.#change({
        audit: next.audit,
        ended: next.ended,
        report: what.report ?? null,
        artifacts: what.artifacts ?? [],
      }),
    );
  }

  /** Returns the event for a worker's report over HTTP. */
  static endOf({ fence, report }: FinishRequest): TaskEvent {
    return report.error === null ? { type: 'complete', fence } : { type: 'fail', fence, error: report.error };
  }

  /** Applies a worker's report over HTTP. */
  finish(finish: FinishRequest): void {
    const worker = this.#state.lease?.worker ?? '';
    this.apply(TaskRecord.endOf(finish), {
      report: { ...finish.report, worker },
      artifacts: finish.artifacts,
    });
  }

  conflict(message: string): ApplicationFailure {
    return ApplicationFailure.create({ type: 'conflict', message, nonRetryable: true });
  }

  /**
   * Waits until all changes so far are in PostgreSQL. Changes that accumulated during a write share the next
   * transaction. Waits for a PostgreSQL that is away.
   * @returns the result of the last write
   */
  async written(): Promise<Recorded> {
    const write = async (): Promise<void> => {
      const changes = this.#changes;
      if (changes.length === 0) return;
      this.#changes = [];
      const { workflowId, runId } = workflowInfo();
      const { spec, row, createdBy } = this.#input;
      const isNew = this.#isNew;
      this.#isNew = false;
      try {
        this.#last = await this.#control.recordTask({
          spec,
          changes,
          workflowId,
          runId,
          row: isNew ? { ...row, createdBy } : null,
        });
      } catch (error) {
        // The next write includes these changes.
        this.#changes = [...changes, ...this.#changes];
        this.#isNew = isNew;
        throw error;
      }
      if (this.#last.dependents.length > 0) {
        await this.#control.tellDependents({ taskIds: [...this.#last.dependents] });
      }
      for (const change of spec.hasWebhook ? changes : []) {
        if (isTerminal(change.state.status)) await this.#control.tellEnd(endOf(spec.id, change));
      }
    };
    this.#writing = this.#writing.catch(() => undefined).then(write);
    await this.#writing;
    return this.#last;
  }

  /** Returns where a queued task should go, at most `maxAge` milliseconds old. */
  async route(maxAge: number): Promise<Route> {
    const { route } = await this.written();
    if (route !== null && Date.now() - route.at < maxAge) return route;
    const found = await this.#control.routeTask({ spec: this.#input.spec, worker: this.#state.worker });
    this.#last = { ...this.#last, route: found };
    return found;
  }

  /** Makes the next `route` ask PostgreSQL again. */
  forgetRoute(): void {
    this.#last = { ...this.#last, route: null };
  }

  #change(what: Partial<TaskChange>): TaskChange {
    return {
      state: this.#state,
      at: Date.now(),
      ended: null,
      audit: [],
      report: null,
      artifacts: [],
      ...what,
    };
  }
}

/** Returns the end of a task for its webhooks. */
function endOf(taskId: string, { state, ended, at }: TaskChange): TaskEnd {
  const { seq, status, attempts, error } = state;
  const lease = ended?.lease ?? null;
  return {
    taskId,
    seq,
    status,
    attempts,
    error,
    worker: lease?.worker ?? null,
    leaseId: lease?.id ?? null,
    at,
  };
}
