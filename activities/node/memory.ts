import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
import { MembridgeError } from '../../contract/errors.ts';
import type { PullResult, PushResult, SpaceConfig } from '../../contract/memory.ts';
import type { SyncCall } from '../../memory/engine.ts';
import { toFailure } from '../failures.ts';

/** The memory engine as activities see it; on an agent it lives in a thread of its own. */
export interface MemoryPort {
  push(space: SpaceConfig, call: SyncCall): Promise<PushResult>;
  pull(space: SpaceConfig, full: boolean, call: SyncCall): Promise<PullResult>;
}

export interface PullInput {
  readonly space: SpaceConfig;
  /** List every segment rather than trust the heads. */
  readonly full: boolean;
}

/** How often a running activity says that it lives, in milliseconds; its heartbeat time-out is 10 s. */
const HEARTBEAT_MS = 2_000;

/** Tries after which a database that stays locked is an error to tell rather than to wait for (5 s each). */
const LOCKED_TRIES = 3;

/**
 * Activities of memory sync on one node.
 * @param dependencies.dryrun refuse with a clear message instead of acting (MEMBRIDGE_AGENT_DRYRUN=1)
 */
export function createMemoryActivities(dependencies: { memory: MemoryPort; node: string; dryrun: boolean }) {
  const { memory, node, dryrun } = dependencies;

  async function run<T>(work: (call: SyncCall) => Promise<T>): Promise<T> {
    if (dryrun) {
      throw toFailure(
        new MembridgeError(
          'conflict',
          `Node ${node} runs with MEMBRIDGE_AGENT_DRYRUN=1: nothing was synced.`,
        ),
      );
    }
    let said = 'started';
    const timer = setInterval(() => heartbeat(said), HEARTBEAT_MS);
    const progress = (text: string): void => {
      said = text;
    };
    try {
      return await work({ signal: cancellationSignal(), progress });
    } catch (error) {
      if (cancellationSignal().aborted) throw cancellationSignal().reason;
      const locked = error instanceof MembridgeError && error.code === 'memory_locked';
      throw toFailure(error, locked && activityInfo().attempt >= LOCKED_TRIES ? { final: true } : {});
    } finally {
      clearInterval(timer);
    }
  }

  return {
    /** Sends what the space has not got from this node. */
    async pushMemory(space: SpaceConfig): Promise<PushResult> {
      return await run((call) => memory.push(space, call));
    },

    /** Fetches and merges what the space's other nodes sent. */
    async pullMemory({ space, full }: PullInput): Promise<PullResult> {
      return await run((call) => memory.pull(space, full, call));
    },
  };
}

export type MemoryActivities = ReturnType<typeof createMemoryActivities>;
