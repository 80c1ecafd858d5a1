import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { MirrorOutcome, PublishMirror } from '../../contract/memory/mirror.ts';
import type { SyncCall } from '../../memory/engine.ts';
import { runMemoryWork } from './run-memory-work.ts';

/** The work of a space's primary as activities use it; on an agent it runs in the memory thread. */
export interface PrimaryPort {
  /** @returns the result, for people */
  primary(what: 'snapshot' | 'collect', space: SpaceConfig, epoch: number, call: SyncCall): Promise<string>;
  /** Imports what machines on the original's scripts pushed, then publishes the space for them. */
  mirror(space: SpaceConfig, epoch: number, agreed: PublishMirror, call: SyncCall): Promise<MirrorOutcome>;
}

/** A space, and the leadership epoch in which the node is primary. */
export interface PrimaryInput {
  readonly space: SpaceConfig;
  readonly epoch: number;
}

/** A publication, and what a person agreed to for it. */
export interface MirrorInput extends PrimaryInput, PublishMirror {}

/**
 * Activities of a space's primary. Those with visible results are refused once another leadership epoch has
 * begun (deposed).
 */
export function createPrimaryActivities(dependencies: {
  primary: PrimaryPort;
  node: string;
  dryrun: boolean;
}) {
  const does =
    (what: 'snapshot' | 'collect') =>
    async ({ space, epoch }: PrimaryInput): Promise<string> =>
      await runMemoryWork(dependencies, (call) => dependencies.primary.primary(what, space, epoch, call));
  return {
    /** Writes the space's merged state, from which new nodes start. */
    takeSnapshot: does('snapshot'),
    /** Publishes the original's whole-file snapshot, for machines that still run its scripts. */
    publishMirror: async ({ space, epoch, fewer, force }: MirrorInput): Promise<MirrorOutcome> =>
      await runMemoryWork(dependencies, (call) =>
        dependencies.primary.mirror(
          space,
          epoch,
          { ...(fewer === undefined ? {} : { fewer }), ...(force === undefined ? {} : { force }) },
          call,
        ),
      ),
    /** Removes this node's own objects that are no longer needed; any node does this, primary or not. */
    collectMemory: does('collect'),
  };
}

export type PrimaryActivities = ReturnType<typeof createPrimaryActivities>;
