import { Context, CancelledFailure } from '@temporalio/activity';
import type { CloneResult } from '../../contract/projects/projects.ts';
import type { ProjectInput, ResetInput } from '../../activities/node/projects.ts';
import { nodeQueue } from '../../contract/workflows.ts';
import type { EngineAddress } from '../../engine/connect.ts';
import { keepWorker, type KeptWorker } from '../../engine/keep-worker.ts';

/** How a test ends a clone: with its result, or with an error. */
type Ending = CloneResult | Error;

export const CLONED: CloneResult = {
  outcome: 'cloned',
  commit: 'a'.repeat(40),
  branch: 'main',
  path: '/srv/garden',
  sizeBytes: 1_234,
  drift: { behind: 0, ahead: 0, dirty: 0 },
  detail: 'cloned',
  ms: 5,
};

/**
 * A node whose clones end when a test says so, so that the test can check the state during a clone. Everything around
 * it is real. Tests in git/ and with whole agents cover what a real node does.
 */
export interface HeldNode {
  readonly node: string;
  /** How often each activity began. */
  readonly begun: { clone: number; fetch: number; reset: number };
  /** The requested branches, in order. */
  readonly branches: (string | null)[];
  /** The commits that resets named, in order. */
  readonly expected: string[];
  /** How many were cancelled. */
  cancelled: number;
  /** Ends running clones, and later ones when they begin, unless `hold` is called. */
  end(ending: Ending): void;
  hold(): void;
  stop(): Promise<void>;
}

/** Hosts a node's queue. `gauge` counts how many clones of all nodes run at the same time. */
export function startHeldNode(
  engine: EngineAddress,
  node: string,
  gauge: { now: number; most: number } = { now: 0, most: 0 },
): HeldNode {
  let gate = Promise.withResolvers<Ending>();
  const held: HeldNode = {
    node,
    begun: { clone: 0, fetch: 0, reset: 0 },
    branches: [],
    expected: [],
    cancelled: 0,
    end: (ending) => gate.resolve(ending),
    hold: () => {
      gate = Promise.withResolvers<Ending>();
    },
    stop: () => worker.stop(),
  };
  const work =
    (action: 'clone' | 'fetch' | 'reset') =>
    async ({ spec, ...more }: ProjectInput & Partial<Pick<ResetInput, 'expected'>>) => {
      held.begun[action] += 1;
      held.branches.push(spec.options.branch);
      if (more.expected !== undefined) held.expected.push(more.expected);
      gauge.now += 1;
      gauge.most = Math.max(gauge.most, gauge.now);
      const context = Context.current();
      const progress = { phase: 'receiving objects', percent: 42, bytes: 1_000 };
      const timer = setInterval(() => context.heartbeat(progress), 200);
      context.heartbeat(progress);
      try {
        const ending = await Promise.race([gate.promise, context.cancelled]);
        if (ending instanceof Error) throw ending;
        return ending;
      } catch (error) {
        if (error instanceof CancelledFailure) held.cancelled += 1;
        throw error;
      } finally {
        clearInterval(timer);
        gauge.now -= 1;
      }
    };
  const worker: KeptWorker = keepWorker(
    engine,
    {
      taskQueue: nodeQueue(node),
      activities: {
        cloneRepository: work('clone'),
        fetchRepository: work('fetch'),
        resetRepository: work('reset'),
      },
      maxHeartbeatThrottleInterval: '500 milliseconds',
      shutdownGraceTime: '100 milliseconds',
      shutdownForceTime: '1 second',
    },
    { polls: () => undefined, ended: () => undefined },
  );
  return held;
}
