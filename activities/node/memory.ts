import type { PullResult, PushResult, SpaceConfig } from '../../contract/memory/memory.ts';
import type { SyncCall } from '../../memory/engine.ts';
import { runMemoryWork } from './run-memory-work.ts';

/** The memory engine as activities use it; on an agent it runs in its own thread. */
export interface MemoryPort {
  push(space: SpaceConfig, call: SyncCall): Promise<PushResult>;
  pull(space: SpaceConfig, full: boolean, call: SyncCall): Promise<PullResult>;
}

export interface PullInput {
  readonly space: SpaceConfig;
  /** List every segment instead of trusting the heads. */
  readonly full: boolean;
}

/**
 * Activities of memory sync on one node.
 * @param dependencies.dryrun refuse with a clear message instead of acting (MEMBRIDGE_AGENT_DRYRUN=1)
 */
export function createMemoryActivities(dependencies: { memory: MemoryPort; node: string; dryrun: boolean }) {
  const { memory } = dependencies;

  return {
    /** Sends what the space lacks from this node. */
    async pushMemory(space: SpaceConfig): Promise<PushResult> {
      return await runMemoryWork(dependencies, (call) => memory.push(space, call));
    },

    /** Fetches and merges what the space's other nodes sent. */
    async pullMemory({ space, full }: PullInput): Promise<PullResult> {
      return await runMemoryWork(dependencies, (call) => memory.pull(space, full, call));
    },
  };
}

export type MemoryActivities = ReturnType<typeof createMemoryActivities>;
