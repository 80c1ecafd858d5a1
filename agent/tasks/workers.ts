import type { Logger } from 'pino';
import { createTaskActivities } from '../../activities/node/tasks.ts';
import { errorMessage } from '../../contract/errors.ts';
import { agentIdentity, nodeTaskQueue, poolQueue } from '../../contract/names.ts';
import { DEFAULT_POOL } from '../../contract/tasks/tasks.ts';
import type { EngineAddress } from '../../engine/connect.ts';
import { keepWorker, type KeptWorker } from '../../engine/keep-worker.ts';
import { poolSlots } from './pool-slots.ts';
import type { TaskSlots } from './slots.ts';
import type { TaskRunner } from './task-runner.ts';

/** The most tasks for this very node that wait here for a slot. Further ones wait in Temporal. */
const MAX_WAITING_TASKS = 64;
/**
 * One open poll for each queue: a poll brings one task, and the next poll starts at once. Each poll counts against
 * Temporal's limit.
 */
const ONE_POLL = { type: 'simple-maximum', maximum: 1 } as const;
/** How long programs may take to end when the agent stops. */
const SHUTDOWN_GRACE = '100 milliseconds';
const SHUTDOWN_FORCE = '8 seconds';
const HEARTBEAT_THROTTLE = '500 milliseconds';

/** The worker of one task queue. */
export interface TaskWorker {
  readonly queue: string;
  readonly worker: KeptWorker;
}

/** Polls the queues of a node's pools while it has free slots, and its own queue of tasks always. */
export function startTaskWorkers(options: {
  engine: EngineAddress;
  node: string;
  labels: readonly string[];
  slots: TaskSlots;
  runner: TaskRunner;
  log: Logger;
  /** Called when a worker begins to poll. */
  polls: () => void;
}): TaskWorker[] {
  const { engine, node, labels, slots, runner, log } = options;
  const common = {
    identity: agentIdentity(node, process.pid),
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
    defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
    shutdownGraceTime: SHUTDOWN_GRACE,
    shutdownForceTime: SHUTDOWN_FORCE,
  } as const;
  const hears = (taskQueue: string) => ({
    polls: () => {
      log.info({ queue: taskQueue }, 'worker polls');
      options.polls();
    },
    ended: (reason: unknown) =>
      log.warn({ queue: taskQueue, reason: errorMessage(reason) }, 'worker ended; it starts again'),
  });
  const pools = [...new Set([DEFAULT_POOL, ...labels])].map((name) => {
    const taskQueue = poolQueue(name);
    const pool = poolSlots(slots);
    const one = { type: 'fixed-size', numSlots: 1 } as const;
    const worker = keepWorker(
      engine,
      {
        ...common,
        taskQueue,
        activities: createTaskActivities(runner.port(() => pool.arrived())),
        tuner: {
          activityTaskSlotSupplier: pool.supplier,
          workflowTaskSlotSupplier: one,
          localActivityTaskSlotSupplier: one,
          nexusTaskSlotSupplier: one,
        },
        activityTaskPollerBehavior: ONE_POLL,
      },
      hears(taskQueue),
    );
    return { queue: taskQueue, worker };
  });
  const taskQueue = nodeTaskQueue(node);
  const own = keepWorker(
    engine,
    {
      ...common,
      taskQueue,
      activities: createTaskActivities(runner.port(() => undefined)),
      maxConcurrentActivityTaskExecutions: MAX_WAITING_TASKS,
      activityTaskPollerBehavior: ONE_POLL,
    },
    hears(taskQueue),
  );
  return [...pools, { queue: taskQueue, worker: own }];
}
