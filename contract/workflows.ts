import { z } from 'zod';
import { PullResult, PushResult, SpaceConfig } from './memory.ts';
import { EpochMs, NodeId, SyncAction, SyncTrigger } from './primitives.ts';

export * from './names.ts';

/** One request to sync one node in one space. */
export const SyncRequest = z.strictObject({
  jobId: z.string().min(1),
  action: SyncAction,
  trigger: SyncTrigger,
  /** The space as it is when the request is made; a run that was started earlier follows it. */
  space: SpaceConfig.optional(),
});
export type SyncRequest = z.infer<typeof SyncRequest>;

/** A request, and when it came in. */
export const TimedRequest = z.strictObject({ ...SyncRequest.shape, requestedAt: EpochMs });
export type TimedRequest = z.infer<typeof TimedRequest>;

export const SyncMemoryInput = z.strictObject({
  space: SpaceConfig,
  node: NodeId,
  /** Requests that were still to be served when the previous run continued as new. */
  pending: z.array(TimedRequest).optional(),
});
export type SyncMemoryInput = z.infer<typeof SyncMemoryInput>;

/** What one round of syncMemory did; a round serves every request that was waiting when it began. */
export const SyncRoundResult = z.strictObject({
  jobIds: z.array(z.string()),
  push: PushResult.nullable(),
  pull: PullResult.nullable(),
  error: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
  ms: z.number(),
});
export type SyncRoundResult = z.infer<typeof SyncRoundResult>;

export const MemorySpaceInput = z.strictObject({
  space: SpaceConfig,
  /** Nodes that were still to be caught up when the previous run continued as new. */
  pending: z.array(NodeId).default([]),
  /** Nodes whose pushes were still to be told of then. */
  pushed: z.array(NodeId).optional(),
  /** Whether everybody was still to be asked then. */
  catchUp: z.boolean().optional(),
});
export type MemorySpaceInput = z.infer<typeof MemorySpaceInput>;

/** "This node pushed operations": the space's workflow answers by pulling on every other live node. */
export const NodePushed = z.strictObject({ node: NodeId, rows: z.number().int() });
export type NodePushed = z.infer<typeof NodePushed>;
