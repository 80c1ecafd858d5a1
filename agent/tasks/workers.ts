import type { WorkerOptions } from '@temporalio/worker';
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
interface TaskWorker {
  readonly queue: string;
  readonly worker: KeptWorker;
}

interface PoolWorker extends TaskWorker {
  /** Begins no further poll, and waits until no task of the pool runs. */
  close(): Promise<void>;
}

/** What the workers of a node's task queues need. */
interface TaskWorkersOptions {
  readonly engine: EngineAddress;
  readonly node: string;
  readonly slots: TaskSlots;
  readonly runner: TaskRunner;
  readonly log: Logger;
  /** Called when a worker begins to poll. */
  readonly polls: () => void;
}

/** Polls the queues of a node's pools while it has free slots, and its own queue of tasks always. */
export class TaskWorkers {
  readonly #options: TaskWorkersOptions;
  readonly #own: TaskWorker;
  readonly #pools = new Map<string, PoolWorker>();
  /** Workers of withdrawn pools, which stay for tasks that run. */
  readonly #leaving = new Set<PoolWorker>();
  #isStopped = false;

  /** Starts with the default pool. */
  constructor(options: TaskWorkersOptions) {
    this.#options = options;
    this.#own = this.#keep(nodeTaskQueue(options.node), {
      activities: createTaskActivities(options.runner.port(() => undefined)),
      maxConcurrentActivityTaskExecutions: MAX_WAITING_TASKS,
    });
    this.serve([]);
  }

  /** Sets the pools that are polled besides the default one. Running tasks of a withdrawn pool continue. */
  serve(pools: readonly string[]): void {
    if (this.#isStopped) return;
    const wanted = new Set([DEFAULT_POOL, ...pools]);
    for (const [name, pool] of this.#pools) {
      if (wanted.has(name)) continue;
      this.#pools.delete(name);
      void this.#leave(pool);
    }
    for (const name of wanted) {
      if (!this.#pools.has(name)) this.#pools.set(name, this.#startPool(poolQueue(name)));
    }
  }

  /** Returns the queues that are polled now. */
  queues(): string[] {
    return [this.#own, ...this.#pools.values()]
      .filter(({ worker }) => worker.isPolling())
      .map(({ queue }) => queue);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    const workers = [this.#own, ...this.#pools.values(), ...this.#leaving];
    await Promise.all(workers.map(({ worker }) => worker.stop()));
  }

  async #leave(pool: PoolWorker): Promise<void> {
    this.#leaving.add(pool);
    this.#options.log.info({ queue: pool.queue }, 'this node may not serve the pool any longer');
    await pool.close();
    await pool.worker.stop();
    this.#leaving.delete(pool);
  }

  #startPool(queue: string): PoolWorker {
    const pool = poolSlots(this.#options.slots);
    const one = { type: 'fixed-size', numSlots: 1 } as const;
    const kept = this.#keep(queue, {
      activities: createTaskActivities(this.#options.runner.port(() => pool.arrived())),
      tuner: {
        activityTaskSlotSupplier: pool.supplier,
        workflowTaskSlotSupplier: one,
        localActivityTaskSlotSupplier: one,
        nexusTaskSlotSupplier: one,
      },
    });
    return { ...kept, close: () => pool.close() };
  }

  #keep(queue: string, options: Partial<WorkerOptions>): TaskWorker {
    const { engine, node, log, polls } = this.#options;
    const worker = keepWorker(
      engine,
      {
        identity: agentIdentity(node, process.pid),
        maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
        defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
        shutdownGraceTime: SHUTDOWN_GRACE,
        shutdownForceTime: SHUTDOWN_FORCE,
        activityTaskPollerBehavior: ONE_POLL,
        taskQueue: queue,
        ...options,
      },
      {
        polls: () => {
          log.info({ queue }, 'worker polls');
          polls();
        },
        ended: (reason: unknown) =>
          log.warn({ queue, reason: errorMessage(reason) }, 'worker ended; it starts again'),
      },
    );
    return { queue, worker };
  }
}
