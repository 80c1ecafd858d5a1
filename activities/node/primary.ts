import type { SpaceConfig } from '../../contract/memory.ts';
import type { SyncCall } from '../../memory/engine.ts';
import { runMemoryWork } from './run.ts';

/** What the primary of a space does, as activities see it; on an agent it happens in the memory thread. */
export interface PrimaryPort {
  /** @returns what came of it, for people */
  primary(
    what: 'snapshot' | 'mirror' | 'collect',
    space: SpaceConfig,
    epoch: number,
    call: SyncCall,
  ): Promise<string>;
}

/** A space, and the epoch in which the node is primary. */
export interface PrimaryInput {
  readonly space: SpaceConfig;
  readonly epoch: number;
}

/** Activities of a space's primary. Those that others can see are refused when another epoch has begun (deposed). */
export function createPrimaryActivities(dependencies: {
  primary: PrimaryPort;
  node: string;
  dryrun: boolean;
}) {
  const does =
    (what: 'snapshot' | 'mirror' | 'collect') =>
    async ({ space, epoch }: PrimaryInput): Promise<string> =>
      await runMemoryWork(dependencies, (call) => dependencies.primary.primary(what, space, epoch, call));
  return {
    /** Writes the space's merged state, from which new nodes start. */
    takeSnapshot: does('snapshot'),
    /** Publishes the original's whole-file snapshot, for machines still on its scripts. */
    publishMirror: does('mirror'),
    /** Removes what nobody needs any more of this node's own objects; any node does this, primary or not. */
    collectMemory: does('collect'),
  };
}

export type PrimaryActivities = ReturnType<typeof createPrimaryActivities>;
