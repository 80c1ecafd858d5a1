import type { Logger } from 'pino';
import { createMemoryActivities, type MemoryPort } from '../activities/node/memory.ts';
import { createPrimaryActivities, type PrimaryPort } from '../activities/node/primary.ts';
import { createProjectActivities } from '../activities/node/projects.ts';
import { createProposalActivities, type ProposalActivityOptions } from '../activities/node/proposals.ts';
import { errorMessage } from '../contract/errors.ts';
import { agentIdentity, nodeQueue } from '../contract/workflows.ts';
import type { EngineAddress } from '../engine/connect.ts';
import { keepWorker, type KeptWorker } from '../engine/keep-worker.ts';

/**
 * How many activities one node runs side by side. Memory work runs one at a time anyway, and git works on a few
 * clones at once. Clones that wait for their turn must not keep memory work out.
 */
const MAX_ACTIVITIES = 200;

/** Two open polls: while the worker reads one answer, the other poll still waits at Temporal. */
const POLLER_BEHAVIOR = { type: 'simple-maximum', maximum: 2 } as const;

/** How long running activities may continue after the agent began to stop, before they are cancelled… */
const SHUTDOWN_GRACE = '1 second';

/** …and before they are abandoned: Temporal gives them to the next agent. */
const SHUTDOWN_FORCE = '8 seconds';

/** The shortest time between two heartbeats of an activity to Temporal. */
const HEARTBEAT_THROTTLE = '1 second';

/** Runs the worker of `node:<id>`, whose activities must happen on this machine. */
export function startNodeWorker(options: {
  engine: EngineAddress;
  node: string;
  memory: MemoryPort;
  primary: PrimaryPort;
  projects: ProposalActivityOptions;
  dryrun: boolean;
  /** Called when it begins to poll. */
  polls?: () => void;
  log: Logger;
}): KeptWorker {
  const { engine, node, log } = options;
  const taskQueue = nodeQueue(node);
  return keepWorker(
    engine,
    {
      taskQueue,
      identity: agentIdentity(node, process.pid),
      activities: {
        ...createMemoryActivities(options),
        ...createPrimaryActivities(options),
        ...createProjectActivities(options.projects),
        ...createProposalActivities(options.projects),
      },
      // Clone progress and cancellation matter every second.
      maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
      defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
      maxConcurrentActivityTaskExecutions: MAX_ACTIVITIES,
      activityTaskPollerBehavior: POLLER_BEHAVIOR,
      shutdownGraceTime: SHUTDOWN_GRACE,
      shutdownForceTime: SHUTDOWN_FORCE,
    },
    {
      polls: () => {
        log.info({ queue: taskQueue }, 'worker polls');
        options.polls?.();
      },
      ended: (reason) => log.warn({ reason: errorMessage(reason) }, 'worker ended; it starts again'),
    },
  );
}
