/** Tasks on this node: slots, leases, runs. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { errorMessage } from '../../contract/errors.ts';
import type { AgentHeartbeat } from '../../contract/nodes.ts';
import { connectEngine, type Engine } from '../../engine/connect.ts';
import { openGuard, sweepGroups } from '../../runner/guard.ts';
import { openObjectStore } from '../../storage/object-store.ts';
import type { AgentConfig } from '../config.ts';
import { sendTaskOutput } from '../control-plane.ts';
import { programExists } from '../facts.ts';
import type { AgentState } from '../state.ts';
import { sweepLogs } from './output.ts';
import { sweepContexts } from './contexts.ts';
import { LeaseKeeper } from './keeper.ts';
import type { ChosenSandbox } from './sandbox.ts';
import { TaskSlots } from './slots.ts';
import { TaskRunner } from './task-runner.ts';
import { startTaskWorkers } from './workers.ts';

/** A node's part in tasks. */
export interface NodeTasks {
  /** The leases that it holds. */
  leases(): AgentHeartbeat['leases'];
  setDrained(drained: boolean): void;
  stop(): Promise<void>;
}

/** How often old folders of contexts are looked for, in milliseconds. */
const SWEEP_MS = 24 * 3_600_000;

const NO_TASKS: NodeTasks = {
  leases: () => [],
  setDrained: () => undefined,
  stop: () => Promise.resolve(),
};

/**
 * Takes tasks from now on; a node without a program to run them takes none, nor does one that should have a sandbox and has none.
 * @param hears.changed a run began or ended; hears.died leases can no longer be kept
 */
export function startTasks(
  config: AgentConfig,
  state: AgentState,
  { sandbox, told }: ChosenSandbox,
  log: Logger,
  hears: { changed(): void; died(error: Error): void },
): NodeTasks {
  const { enrolment, server_url: serverUrl } = state;
  if (config.dryrun) return NO_TASKS;
  if (!programExists(config.runner.program)) {
    log.info(
      { program: config.runner.program },
      'the program that works on tasks is not here; none are taken',
    );
    return NO_TASKS;
  }
  if (told.refuses) {
    log.error({ reason: told.detail }, 'no tasks are taken');
    return NO_TASKS;
  }
  if (told.detail === null) log.info('tasks run in a sandbox');
  else log.warn({ reason: told.detail }, 'tasks run without a sandbox');
  const node = enrolment.node_id;
  const dir = join(config.dataDir, 'tasks');
  const identity = `agent ${node} (pid ${process.pid})`;
  const slots = new TaskSlots(config.maxConcurrency);
  const keeper = new LeaseKeeper({ ...enrolment.temporal, identity }, (error) => hears.died(error));
  const guard = openGuard(dir);
  const store = openObjectStore(enrolment.store);
  let engine: Promise<Engine> | null = null;
  const runner = new TaskRunner({
    node,
    slots,
    keeper,
    guard,
    store,
    command: config.runner,
    variables: config.taskVariables,
    sandbox,
    reposBase: config.reposBase,
    dataDir: config.dataDir,
    databasePath: config.databasePath,
    client: async () => {
      engine ??= connectEngine(enrolment.temporal);
      try {
        return (await engine).client;
      } catch (error) {
        engine = null;
        throw error;
      }
    },
    sendOutput: async (taskId, epoch, chunks) =>
      await sendTaskOutput(serverUrl, enrolment.agent_key, taskId, { epoch, chunks: [...chunks] }),
    changed: () => hears.changed(),
    log,
  });
  // What a former agent left running works under a lease that is lost, or is about to be.
  const workers = sweepAll(dir, config.dataDir, log).then(() =>
    startTaskWorkers({ engine: enrolment.temporal, node, labels: config.labels, slots, runner, log }),
  );
  const sweeping = setInterval(() => {
    sweepContexts(config.dataDir).catch((error: unknown) =>
      log.warn({ reason: errorMessage(error) }, 'old folders of contexts could not be removed'),
    );
  }, SWEEP_MS);
  return {
    leases: () => runner.leases(),
    setDrained: (drained) => slots.setDrained(drained),
    stop: async () => {
      clearInterval(sweeping);
      await Promise.all((await workers).map((worker) => worker.stop()));
      await guard.close();
      await keeper.close();
      store.close();
      await engine?.then((connected) => connected.close()).catch(() => undefined);
    },
  };
}

/** Ends and removes what a former agent left, before anything runs. A failure is only told. */
async function sweepAll(dir: string, dataDir: string, log: Logger): Promise<void> {
  try {
    await sweepGroups(dir);
    await sweepLogs(dir);
    await sweepContexts(dataDir);
  } catch (error) {
    log.warn({ reason: errorMessage(error) }, 'what former runs left could not be looked for');
  }
}
