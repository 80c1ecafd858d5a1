import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  TimeoutFailure,
  condition,
  isCancellation,
  proxyActivities,
} from '@temporalio/workflow';
import type { TaskActivities } from '../activities/node/tasks.ts';
import { nodeTaskQueue, poolQueue } from '../contract/names.ts';
import type { RunReport, RunSpec } from '../contract/tasks/runs.ts';
import type { NewArtifact, Route, TaskSpec } from '../contract/tasks/task-workflow.ts';
import type { TaskRecord } from './task-record.ts';

/** How long an apparently free node has to pick the task up before it goes to any free node. */
const TAKEN_WITHIN = '2 seconds';

/** The same where only nodes with the project's clone are suitable. */
const CLONE_TAKEN_WITHIN = '15 seconds';

/** A run's time outside its program, in milliseconds: hints, uploads, and the claim. */
const OVERHEAD_MS = 120_000;

/**
 * How long a run may wait for a slot on the only suitable node, and on the best of several with the clone, in
 * milliseconds.
 */
const SLOT_MS = 7 * 24 * 3_600_000;
const CLONE_SLOT_MS = 20_000;

/** First pause before a task that no node could begin is tried again, and the longest, in milliseconds. */
const MIN_RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;

/** An attempt that was scheduled on Temporal. */
export class Attempt {
  readonly epoch: number;
  readonly scope = new CancellationScope();
  isOver = false;
  /** Token of the activity that is scheduled now; null when none is. */
  token: string | null = null;

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  /** Cancels the attempt unless a worker has begun. Resolves when it is certain which. */
  async withdraw(isQueued: () => boolean): Promise<void> {
    if (!isQueued()) return;
    this.scope.cancel();
    await condition(() => this.isOver || !isQueued());
  }
}

interface AttemptContext {
  readonly spec: TaskSpec;
  readonly task: TaskRecord;
  readonly attempt: Attempt;
  readonly route: Route;
}

/** A queue to try, and its limits. */
interface Target {
  readonly queue: string;
  /** How long it may wait in the queue; null for no limit. */
  readonly within: typeof TAKEN_WITHIN | typeof CLONE_TAKEN_WITHIN | null;
  /** How long it may wait for a slot there, in milliseconds. */
  readonly slotWaitMs: number;
  readonly summary: string;
}

/** Returns the queues for an attempt, the best first: the only allowed node, the context's node, the pool. */
function listTargets({ spec, task, route }: AttemptContext): Target[] {
  const { worker } = task.state;
  const name = `run ${spec.id}`;
  if (worker !== null) {
    return [
      { queue: nodeTaskQueue(worker), within: null, slotWaitMs: SLOT_MS, summary: `${name} on ${worker}` },
    ];
  }
  if (route.project !== null) {
    const [first, ...others] = route.project.nodes;
    if (first === undefined) return [];
    // First every node in order, if it has a free slot; then the best one, waiting for a slot.
    const free = [first, ...others].map((node): Target => ({
      queue: nodeTaskQueue(node),
      within: TAKEN_WITHIN,
      slotWaitMs: 0,
      summary: `${name} on ${node}`,
    }));
    const wait: Target = {
      queue: nodeTaskQueue(first),
      within: CLONE_TAKEN_WITHIN,
      slotWaitMs: CLONE_SLOT_MS,
      summary: name,
    };
    return [...free, wait];
  }
  const pool: Target = {
    queue: poolQueue(spec.pool),
    within: null,
    slotWaitMs: 0,
    summary: `${name} in pool ${spec.pool}`,
  };
  if (route.sticky === null) return [pool];
  const sticky: Target = {
    queue: nodeTaskQueue(route.sticky),
    within: TAKEN_WITHIN,
    slotWaitMs: 0,
    summary: `${name} on ${route.sticky}, which has its context`,
  };
  return [sticky, pool];
}

/**
 * Offers one attempt to nodes until one has run it, or it is withdrawn. Its outcome has been applied to the
 * task when this resolves.
 *
 * What may interleave here, and why it is safe: while an activity is queued or running, updates may change
 * the task. Each outcome is applied only if the task still has the lease of this attempt, identified by its
 * lease epoch.
 */
export async function scheduleRun(giving: AttemptContext): Promise<void> {
  const { task, attempt } = giving;
  const begun = task.state;
  try {
    for (const target of listTargets(giving)) {
      if (task.state !== begun || attempt.scope.consideredCancelled) return;
      const ended = await runOn(giving, target);
      if (ended === 'done') return;
      // The agent took a task of another pool in between; the next free agent takes this one.
      if (target.within === null && target.slotWaitMs === 0) return;
    }
    if (task.state === begun) await pause(giving);
  } finally {
    attempt.isOver = true;
    task.forgetRoute();
  }
}

/**
 * Runs one activity on one queue.
 * @returns whether the attempt is over; else the next queue is tried
 */
async function runOn(giving: AttemptContext, target: Target): Promise<'done' | 'next'> {
  const { spec, task, attempt } = giving;
  const { ttlMs } = task.state;
  const activities = proxyActivities<TaskActivities>({
    taskQueue: target.queue,
    startToCloseTimeout: spec.limits.timeoutMs + OVERHEAD_MS + target.slotWaitMs,
    ...(target.within === null ? {} : { scheduleToStartTimeout: target.within }),
    // The lease: an agent without a heartbeat for this long has lost it.
    heartbeatTimeout: ttlMs,
    // The state machine decides about another attempt, under a new lease epoch.
    retry: { maximumAttempts: 1 },
    // The activity ends only when its processes are dead.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    priority: { priorityKey: spec.priority, fairnessKey: spec.fairnessKey },
    summary: target.summary,
  });
  task.given += 1;
  attempt.token = `${attempt.epoch}.${task.given}`;
  const { token } = attempt;
  try {
    const report = await attempt.scope.run(() => activities.runTask(runSpec(giving, target, ttlMs, token)));
    end(giving, report);
    return 'done';
  } catch (error) {
    return await applyFailure(giving, target, error);
  } finally {
    attempt.token = null;
  }
}

function runSpec(
  { spec, attempt, route }: AttemptContext,
  target: Target,
  ttlMs: number,
  token: string,
): RunSpec {
  return {
    taskId: spec.id,
    epoch: attempt.epoch,
    token,
    contextId: spec.contextId,
    agentSlug: spec.agentSlug,
    prompt: spec.prompt,
    hints: spec.hints,
    format: spec.format,
    artifactType: spec.artifactType,
    limits: spec.limits,
    project:
      route.project === null || spec.projectId === null
        ? null
        : { id: spec.projectId, name: route.project.name, targetPath: route.project.targetPath },
    priority: spec.priority,
    ttlMs,
    slotWaitMs: target.slotWaitMs,
  };
}

/** Applies an agent's report. */
function end({ spec, task, attempt }: AttemptContext, report: RunReport): void {
  // The lease was released or refused while the report was on its way.
  if (task.state.lease?.epoch !== attempt.epoch) return;
  const fence = { epoch: attempt.epoch };
  const artifacts = artifactsOf(spec, report);
  if (report.error === null) task.apply({ type: 'complete', fence }, { report, artifacts });
  else task.apply({ type: 'fail', fence, error: report.error }, { report, artifacts });
}

function artifactsOf(spec: TaskSpec, report: RunReport): NewArtifact[] {
  const artifacts: NewArtifact[] = [];
  if (report.output !== null && report.error === null) {
    const isJson = spec.format === 'json';
    artifacts.push({
      type: spec.artifactType,
      name: isJson ? 'result.json' : 'result.txt',
      mediaType: isJson ? 'application/json' : 'text/plain; charset=utf-8',
      ...report.output,
      tags: spec.tags,
    });
  }
  if (report.log !== null) {
    artifacts.push({
      type: 'LOG',
      name: 'output.jsonl',
      mediaType: 'application/jsonl',
      ...report.log,
      tags: [],
    });
  }
  return artifacts;
}

/** Applies the end of an activity without a report. */
async function applyFailure(
  giving: AttemptContext,
  target: Target,
  error: unknown,
): Promise<'done' | 'next'> {
  const { task, attempt } = giving;
  const { epoch } = attempt;
  const isHeld = task.state.lease?.epoch === epoch;
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (isCancellation(error)) {
    if (isHeld && task.state.cancel !== null) task.apply({ type: 'stopped', epoch });
    // A person canceled the whole workflow, for example on Temporal's page.
    else if (!attempt.scope.consideredCancelled) throw error;
    // The attempt was withdrawn at the moment of its claim, and its agent has stopped.
    else if (isHeld) {
      task.apply({ type: 'release', fence: { epoch }, by: 'engine', reason: 'it was taken back' });
    }
    return 'done';
  }
  if (cause instanceof TimeoutFailure) {
    if (cause.timeoutType === 'SCHEDULE_TO_START') return 'next';
    if (isHeld) task.apply({ type: 'expire', epoch });
    return 'done';
  }
  const { type, message, nonRetryable } =
    cause instanceof ApplicationFailure
      ? { type: cause.type ?? 'internal', message: cause.message, nonRetryable: cause.nonRetryable === true }
      : { type: 'internal', message: String(cause), nonRetryable: false };
  if (type === 'no_slot') return 'next';
  // The current lease, if any, belongs to another worker.
  if (type === 'claim_refused') {
    if (task.state.status === 'queued') await pause(giving);
    return 'done';
  }
  if (isHeld && type === 'released') {
    task.apply({
      type: 'release',
      fence: { epoch },
      by: task.state.lease?.worker ?? 'engine',
      reason: message,
    });
    return 'done';
  }
  if (isHeld) {
    const failed = { code: type, message, retryable: !nonRetryable };
    task.apply({ type: 'fail', fence: { epoch }, error: failed });
    return 'done';
  }
  // It failed before it began, so the attempt does not count. Another node may succeed; if there is none, it
  // waits a little.
  if (target.within !== null) return 'next';
  if (task.state.status === 'queued') await pause(giving);
  return 'done';
}

/** Pauses after no node began, longer each time; ends at once when the attempt is withdrawn. */
async function pause({ task, attempt }: AttemptContext): Promise<void> {
  const ms = Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** task.idle);
  const seen = task.state;
  await condition(() => task.state !== seen || attempt.scope.consideredCancelled, ms);
  task.idle += 1;
}
