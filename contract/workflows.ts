import { z } from 'zod';
import { PullResult, PushResult, SpaceConfig } from './memory/memory.ts';
import { EpochMs, NodeId, ReportedId, SyncAction, SyncTrigger } from './http/primitives.ts';
import { CloneAction, CloneSpec, CloneStatus, NodeCloneAction } from './projects/projects.ts';

export * from './names.ts';

/** One request to sync one node in one space. */
export const SyncRequest = z.strictObject({
  jobId: z.string().min(1),
  action: SyncAction,
  trigger: SyncTrigger,
  /** The space as it is when the request is made; a run that was started earlier follows it. */
  space: SpaceConfig.optional(),
  /** Whether this workflow reports to the space's workflow when the node has synced, since no wave could serve the node. */
  tell: z.boolean().optional(),
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
  /** Whether the run serves nodes in waves; version 0.4 started a workflow for each node. */
  waves: z.boolean().optional(),
  /** Nodes where claude-mem wrote something, and that had not pushed it yet. */
  noticed: z.array(NodeId).optional(),
  /** How many catch-ups there were. */
  catchUps: z.number().int().optional(),
});
export type MemorySpaceInput = z.infer<typeof MemorySpaceInput>;

/** One page of the nodes that a wave may serve: those with the same configuration together. */
export const WavePage = z.strictObject({
  groups: z.array(z.strictObject({ space: SpaceConfig, nodes: z.array(NodeId) })),
  /** How many live nodes there are in all. */
  members: z.number().int(),
  /** Where the next page begins; null after the last. */
  next: NodeId.nullable(),
  /** Whether the space was deleted. */
  isGone: z.boolean(),
});
export type WavePage = z.infer<typeof WavePage>;

/** What a wave did on one node. */
export const WaveResult = z.strictObject({
  jobId: z.string(),
  node: NodeId,
  trigger: SyncTrigger,
  push: PushResult.nullable(),
  pull: PullResult.nullable(),
  startedAt: EpochMs,
  finishedAt: EpochMs,
});
export type WaveResult = z.infer<typeof WaveResult>;

/** "This node pushed operations": the space's workflow answers by pulling on every other live node. */
export const NodePushed = z.strictObject({ node: NodeId, rows: z.number().int() });
export type NodePushed = z.infer<typeof NodePushed>;

/** One request to clone, update, look at or reset one project on one node. */
export const CloneRequest = z.strictObject({
  action: NodeCloneAction,
  /** The project as it is when the request is made. */
  spec: CloneSpec,
  /** The workflow that is to hear how it goes (signal `nodeSettled`). */
  notify: z.string().optional(),
  /** For `reset`: the commit that the clone must be at. */
  expected: z.string().optional(),
});
export type CloneRequest = z.infer<typeof CloneRequest>;

export const CloneProjectInput = z.strictObject({
  projectId: z.string(),
  node: NodeId,
  /** Requests that were still to be served when the previous run continued as new. */
  pending: z.array(CloneRequest).optional(),
});
export type CloneProjectInput = z.infer<typeof CloneProjectInput>;

/** How one node's part ended, or that it waits for its node; for the workflow that asked. */
export const NodeSettled = z.strictObject({
  node: NodeId,
  status: CloneStatus,
  error: z.string().nullable(),
});
export type NodeSettled = z.infer<typeof NodeSettled>;

export const PropagateInput = z.strictObject({
  projectId: z.string(),
  action: CloneAction,
  /** Which nodes; every one where nothing is said. */
  nodes: z.array(NodeId).nullable(),
  /** How many are served at once. One that waits for its node to come back does not count. */
  concurrency: z.number().int().min(1),
  /** Where the run before stood when it continued as new. */
  resume: z
    .strictObject({
      startedAt: EpochMs,
      queue: z.array(NodeId),
      busy: z.array(NodeId),
      waiting: z.array(NodeId),
      ending: z.array(NodeId),
      settled: z.array(NodeSettled),
      /** Whether somebody had cancelled it. */
      isCancelled: z.boolean().optional(),
    })
    .optional(),
});
export type PropagateInput = z.infer<typeof PropagateInput>;

/** What a propagation came to: how each of its nodes stands at the end. */
export const PropagateResult = z.strictObject({ results: z.array(NodeSettled) });
export type PropagateResult = z.infer<typeof PropagateResult>;

export const ProjectMemorySyncInput = z.strictObject({ projectId: z.string() });
export type ProjectMemorySyncInput = z.infer<typeof ProjectMemorySyncInput>;

/** The state of a space's leadership, as its workflow keeps it; times are epoch ms. */
export const LeadershipState = z.strictObject({
  cid: z.string(),
  /** The primary, null when the lease ran out and nobody was chosen since. */
  primary: ReportedId.nullable(),
  epoch: z.number().int().nonnegative(),
  leaseSeconds: z.number().int(),
  issuedAt: EpochMs,
  expiresAt: EpochMs,
  issuedBy: z.string(),
});
export type LeadershipState = z.infer<typeof LeadershipState>;

/** What a promotion asks for; without a node, that nobody is primary any more. */
export const SelectRequest = z.strictObject({
  node: ReportedId.nullable(),
  leaseSeconds: z.number().int().positive(),
  by: z.string(),
  /** The epoch of the lease that was found in the object store; the next one is above it. */
  above: z.number().int().optional(),
});
export type SelectRequest = z.infer<typeof SelectRequest>;

export const LeadershipInput = z.strictObject({
  cid: z.string(),
  /** Null at the very first start; else what was known when the run before ended. */
  state: LeadershipState.nullable(),
  /** When the primary last took a snapshot and published the mirror, epoch ms; 0: never. */
  lastSnapshotAt: EpochMs,
  lastMirrorAt: EpochMs,
  /** How long the primary waits between two publications, in milliseconds; absent until a node has said so. */
  mirrorEveryMs: z.number().int().positive().optional(),
  /** Whether the lease in the object store is still to be written. */
  leaseOpen: z.boolean().optional(),
});
export type LeadershipInput = z.infer<typeof LeadershipInput>;
