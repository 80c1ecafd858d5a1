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

/** How long a node that is expected to be free may take to pick the task up: after that it goes to whoever is. */
const TAKEN_WITHIN = '2 seconds';

/** The same where only nodes with the project's clone will do. */
const CLONE_TAKEN_WITHIN = '15 seconds';

/** What a run takes beside its program, in milliseconds: hints, uploads, and the claim. */
const AROUND_MS = 120_000;

/** How long a run may wait for a slot on the one node that will do, and on the best of several with the clone, in milliseconds. */
const SLOT_MS = 7 * 24 * 3_600_000;
const CLONE_SLOT_MS = 20_000;

/** How soon a task that no node could begin is tried again, in milliseconds; and at most. */
const AGAIN_MS = 500;
const AGAIN_MOST_MS = 30_000;

/** An attempt that Temporal was given. */
export class Attempt {
  readonly epoch: number;
  readonly scope = new CancellationScope();
  isOver = false;
  /** Of what is given out now; null when nothing is. */
  token: string | null = null;

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  /** Takes it back, unless somebody has begun; resolves when it is certain which. */
  async withdraw(isQueued: () => boolean): Promise<void> {
    if (!isQueued()) return;
    this.scope.cancel();
    await condition(() => this.isOver || !isQueued());
  }
}

interface Giving {
  readonly spec: TaskSpec;
  readonly task: TaskRecord;
  readonly attempt: Attempt;
  readonly route: Route;
}

/** A queue to try, and how. */
interface Target {
  readonly queue: string;
  /** How long it may lie there; null: for ever. */
  readonly within: typeof TAKEN_WITHIN | typeof CLONE_TAKEN_WITHIN | null;
  /** How long it may wait for a slot there, in milliseconds. */
  readonly slotWaitMs: number;
  readonly summary: string;
}

/** Where an attempt goes, the best first: the one node that may have it, the context's node, the pool. */
function targetsOf({ spec, task, route }: Giving): Target[] {
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
    // One that is free at once, in order; else the best one when it has a slot.
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
 * Gives one attempt to nodes until one has run it, or it is taken back. What it came to has been applied to the task when this
 * resolves.
 */
export async function scheduleRun(giving: Giving): Promise<void> {
  const { task, attempt } = giving;
  const begun = task.state;
  try {
    for (const target of targetsOf(giving)) {
      if (task.state !== begun || attempt.scope.consideredCancelled) return;
      const ended = await runOn(giving, target);
      if (ended === 'done') return;
      // An agent that had a task of another pool meanwhile: the next one that is free takes it.
      if (target.within === null && target.slotWaitMs === 0) return;
    }
    if (task.state === begun) await pause(giving);
  } finally {
    attempt.isOver = true;
    task.forgetRoute();
  }
}

/** One activity on one queue. @returns whether the attempt is over; else the next queue is tried */
async function runOn(giving: Giving, target: Target): Promise<'done' | 'next'> {
  const { spec, task, attempt } = giving;
  const { ttlMs } = task.state;
  const activities = proxyActivities<TaskActivities>({
    taskQueue: target.queue,
    startToCloseTimeout: spec.limits.timeoutMs + AROUND_MS + target.slotWaitMs,
    ...(target.within === null ? {} : { scheduleToStartTimeout: target.within }),
    // The lease: an agent that is not heard of for so long has lost it.
    heartbeatTimeout: ttlMs,
    // The state machine decides whether there is another attempt, under another epoch.
    retry: { maximumAttempts: 1 },
    // It is over when its processes are dead, not before.
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
    return await afterFailure(giving, target, error);
  } finally {
    attempt.token = null;
  }
}

function runSpec({ spec, attempt, route }: Giving, target: Target, ttlMs: number, token: string): RunSpec {
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

/** Takes in what an agent reports. */
function end({ spec, task, attempt }: Giving, report: RunReport): void {
  // Given back, or refused, while the report was on its way.
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

/** What the end of an activity without a report means for the task. */
async function afterFailure(giving: Giving, target: Target, error: unknown): Promise<'done' | 'next'> {
  const { task, attempt } = giving;
  const { epoch } = attempt;
  const isHeld = task.state.lease?.epoch === epoch;
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (isCancellation(error)) {
    if (isHeld && task.state.cancel !== null) task.apply({ type: 'stopped', epoch });
    // Somebody cancelled the workflow as a whole, in Temporal's own page.
    else if (!attempt.scope.consideredCancelled) throw error;
    // Taken back in the moment in which it was claimed: its agent has ended it.
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
  // What is held then is somebody else's.
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
  // It failed before it had begun: nothing is counted. Another node may do better; where there is none it waits a little.
  if (target.within !== null) return 'next';
  if (task.state.status === 'queued') await pause(giving);
  return 'done';
}

/** Nobody began: a moment later, and later each time, it looks anew; at once when it is taken back. */
async function pause({ task, attempt }: Giving): Promise<void> {
  const ms = Math.min(AGAIN_MOST_MS, AGAIN_MS * 2 ** task.idle);
  const seen = task.state;
  await condition(() => task.state !== seen || attempt.scope.consideredCancelled, ms);
  task.idle += 1;
}
