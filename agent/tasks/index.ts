/** Tasks on this node: slots, leases, runs. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { errorMessage } from '../../contract/errors.ts';
import { agentIdentity, nodeQueue } from '../../contract/names.ts';
import type { NodeWork } from '../../contract/nodes/node-standing.ts';
import type { AgentHeartbeat } from '../../contract/nodes/nodes.ts';
import type { KeptWorker } from '../../engine/keep-worker.ts';
import { openGuard, sweepGroups } from '../../runner/guard.ts';
import { openRoutedStore } from '../../storage/store-route.ts';
import type { AgentConfig } from '../config.ts';
import { sendTaskOutput } from '../control-plane/control-plane.ts';
import { isProgramRunnable } from '../node-facts.ts';
import type { WorkerEngine } from '../engine.ts';
import { serverOf } from '../control-plane/server.ts';
import type { AgentState } from '../control-plane/state.ts';
import { chooseStoreRoute } from '../control-plane/store-route.ts';
import { sweepLogs } from './output.ts';
import { sweepContexts } from './contexts.ts';
import { LeaseKeeper } from './keeper.ts';
import { Readiness } from './readiness.ts';
import type { ChosenSandbox } from './sandbox.ts';
import { TaskSlots } from './slots.ts';
import { TaskRunner } from './task-runner.ts';
import { TaskWorkers } from './workers.ts';

/** The part of an agent that runs tasks. */
export interface NodeTasks {
  /** Returns the leases that this node holds. */
  leases(): AgentHeartbeat['leases'];
  /** Returns what the last check found about the node's ability to work. */
  work(): NodeWork;
  setDrained(drained: boolean): void;
  /** Sets the pools that this node may serve; null for every pool. */
  allowPools(allowed: readonly string[] | null): void;
  stop(): Promise<void>;
}

/** How often old context folders are removed, in milliseconds. */
const SWEEP_MS = 24 * 3_600_000;
/** How long the result of a run waits for the object store, in milliseconds. */
const STORE_WAIT_MS = 30 * 60_000;

/** What the rest of the agent provides to tasks. */
interface Surroundings {
  /** The worker of the node's own queue. */
  readonly worker: Pick<KeptWorker, 'isPolling'>;
  /** How far this machine's clock is ahead of the control plane's, in milliseconds; null while unknown. */
  readonly clockAheadMs: () => number | null;
  /** Called when a run began or ended, or when the node's ability to work changed. */
  readonly changed: () => void;
  /** Called when leases can no longer be renewed. */
  readonly died: (error: Error) => void;
}

/**
 * Starts to take tasks while the node can work. The program for tasks may be installed later, and Temporal, the
 * object store or the clock may fail in between. A node that requires a sandbox and has none takes no task.
 */
export function startTasks(
  config: AgentConfig,
  state: AgentState,
  engine: WorkerEngine,
  chosen: ChosenSandbox,
  log: Logger,
  around: Surroundings,
): NodeTasks {
  const { enrolment } = state;
  const slots = new TaskSlots(config.maxConcurrency);
  let running: RunningTasks | null = null;
  // The first answer to a heartbeat says which pools are allowed.
  let pools: readonly string[] = [];
  const readiness = new Readiness({
    node: enrolment.node_id,
    engine: engine.address,
    store: chooseStoreRoute(config, state),
    command: config.runner,
    everyMs: config.heartbeatMs,
    clockAheadMs: around.clockAheadMs,
    queues: () => [
      ...(around.worker.isPolling() ? [nodeQueue(enrolment.node_id)] : []),
      ...(running?.queues() ?? []),
    ],
    waits: () => running?.waits() ?? [],
    changed: () => {
      slots.setUnable(!readiness.isReady);
      beginWhenPossible();
      around.changed();
    },
    log,
  });
  const mayBegin = !config.dryrun && !chosen.told.refuses;
  if (chosen.told.refuses) log.error({ reason: chosen.told.detail }, 'this node takes no tasks');
  const beginWhenPossible = (): void => {
    if (!mayBegin || running !== null || !isProgramRunnable(config.runner.program)) return;
    running = runTasks({ config, state, engine, chosen, log, around, slots, readiness, pools: () => pools });
  };
  beginWhenPossible();
  if (mayBegin && running === null) {
    const { program } = config.runner;
    log.info({ program }, 'the program for tasks is not installed; this node takes tasks once it is');
  }
  readiness.start();
  return {
    leases: () => running?.leases() ?? [],
    work: () => readiness.work,
    setDrained: (drained) => slots.setDrained(drained),
    allowPools: (allowed) => {
      pools = config.labels.filter((pool) => allowed?.includes(pool) ?? true);
      running?.followPools();
    },
    stop: async () => {
      await readiness.stop();
      await running?.stop();
    },
  };
}

/** The running parts of a node that has the program for tasks. */
interface RunningTasks {
  leases(): AgentHeartbeat['leases'];
  /** Returns the task queues that are polled. */
  queues(): string[];
  /** Polls the pools that are allowed now. */
  followPools(): void;
  waits(): string[];
  stop(): Promise<void>;
}

function runTasks(given: {
  config: AgentConfig;
  state: AgentState;
  engine: WorkerEngine;
  chosen: ChosenSandbox;
  log: Logger;
  around: Surroundings;
  slots: TaskSlots;
  readiness: Readiness;
  /** Returns the pools to poll now, besides the default one. */
  pools: () => readonly string[];
}): RunningTasks {
  const { config, state, log, around, slots, readiness } = given;
  const { sandbox, told } = given.chosen;
  const { enrolment } = state;
  const server = serverOf(config, state);
  if (told.detail === null) log.info('tasks run in a sandbox');
  else log.warn({ reason: told.detail }, 'tasks run without a sandbox');
  const node = enrolment.node_id;
  const dir = join(config.dataDir, 'tasks');
  const identity = agentIdentity(node, process.pid);
  const { address, tunnel } = given.engine;
  const keeper = new LeaseKeeper({ ...address, tunnel, identity }, (error) => around.died(error));
  const guard = openGuard(dir);
  const store = openRoutedStore(chooseStoreRoute(config, state));
  const runner = new TaskRunner({
    node,
    slots,
    keeper,
    guard,
    store,
    storeWaitMs: STORE_WAIT_MS,
    command: config.runner,
    variables: config.taskVariables,
    sandbox,
    reposBase: config.reposBase,
    dataDir: config.dataDir,
    databasePath: config.databasePath,
    claim: async (taskId, claim) => await given.engine.requests.claim(taskId, claim),
    sendOutput: async (taskId, epoch, chunks) =>
      await sendTaskOutput(server, enrolment.agent_key, taskId, { epoch, chunks: [...chunks] }),
    obstacles: async () => {
      const found = await readiness.findObstacles();
      slots.setUnable(found.length > 0);
      return found;
    },
    ended: (error) => readiness.noteEnd(error),
    changed: () => around.changed(),
    log,
  });
  // Processes that a former agent left run under a lease that is lost, or is about to be.
  let workers: TaskWorkers | null = null;
  let stopping = false;
  const begin = async (): Promise<void> => {
    await sweepAll(dir, config.dataDir, log);
    if (stopping) return;
    const polls = (): void => around.changed();
    workers = new TaskWorkers({ engine: address, node, slots, runner, log, polls });
    workers.serve(given.pools());
  };
  const started = begin();
  const sweeping = setInterval(() => {
    sweepContexts(config.dataDir).catch((error: unknown) =>
      log.warn({ reason: errorMessage(error) }, 'old context folders could not be removed'),
    );
  }, SWEEP_MS);
  return {
    leases: () => runner.leases(),
    queues: () => workers?.queues() ?? [],
    followPools: () => workers?.serve(given.pools()),
    waits: () => runner.waits(),
    stop: async () => {
      clearInterval(sweeping);
      stopping = true;
      await started;
      await workers?.stop();
      await guard.close();
      await keeper.close();
      store.close();
    },
  };
}

/** Ends processes and removes files that a former agent left, before anything runs. A failure is only logged. */
async function sweepAll(dir: string, dataDir: string, log: Logger): Promise<void> {
  try {
    await sweepGroups(dir);
    await sweepLogs(dir);
    await sweepContexts(dataDir);
  } catch (error) {
    log.warn({ reason: errorMessage(error) }, 'leftovers of earlier runs could not be searched');
  }
}
