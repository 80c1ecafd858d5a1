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
  /** The space at the time of the request; a run that started earlier adopts it. */
  space: SpaceConfig.optional(),
  /**
   * Whether this workflow must report to the space's workflow when the node has synced, because no wave could serve
   * the node.
   */
  tell: z.boolean().optional(),
});
export type SyncRequest = z.infer<typeof SyncRequest>;

/** A request, and when it came in. */
export const TimedRequest = z.strictObject({ ...SyncRequest.shape, requestedAt: EpochMs });
export type TimedRequest = z.infer<typeof TimedRequest>;

export const SyncMemoryInput = z.strictObject({
  space: SpaceConfig,
  node: NodeId,
  /** Requests that were not served yet when the previous run continued as new. */
  pending: z.array(TimedRequest).optional(),
});
export type SyncMemoryInput = z.infer<typeof SyncMemoryInput>;

/** The result of one round of syncMemory; a round serves every request that was waiting when it began. */
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
  /** Nodes that had not caught up yet when the previous run continued as new. */
  pending: z.array(NodeId).default([]),
  /** Nodes whose pushes were not announced yet then. */
  pushed: z.array(NodeId).optional(),
  /** Whether the catch-up of all nodes was still due then. */
  catchUp: z.boolean().optional(),
  /** Whether the run serves nodes in waves; version 0.4 started a workflow for each node. */
  waves: z.boolean().optional(),
  /** Nodes where claude-mem wrote something that was not pushed yet. */
  noticed: z.array(NodeId).optional(),
  /** How many catch-ups there were. */
  catchUps: z.number().int().optional(),
});
export type MemorySpaceInput = z.infer<typeof MemorySpaceInput>;

/** One page of the nodes that a wave may serve, grouped by equal configuration. */
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

/** The result of a wave on one node. */
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

/** A node pushed operations. The space's workflow then pulls on every other live node. */
export const NodePushed = z.strictObject({ node: NodeId, rows: z.number().int() });
export type NodePushed = z.infer<typeof NodePushed>;

/** One request to clone, update, fetch or reset one project on one node. */
export const CloneRequest = z.strictObject({
  action: NodeCloneAction,
  /** The project at the time of the request. */
  spec: CloneSpec,
  /** The workflow that receives the result (signal `nodeSettled`). */
  notify: z.string().optional(),
  /** For `reset`: the commit that the clone must be at. */
  expected: z.string().optional(),
});
export type CloneRequest = z.infer<typeof CloneRequest>;

export const CloneProjectInput = z.strictObject({
  projectId: z.string(),
  node: NodeId,
  /** Requests that were not served yet when the previous run continued as new. */
  pending: z.array(CloneRequest).optional(),
});
export type CloneProjectInput = z.infer<typeof CloneProjectInput>;

/** How one node's part ended, or that it waits for its node; for the workflow that requested it. */
export const NodeSettled = z.strictObject({
  node: NodeId,
  status: CloneStatus,
  error: z.string().nullable(),
});
export type NodeSettled = z.infer<typeof NodeSettled>;

export const PropagateInput = z.strictObject({
  projectId: z.string(),
  action: CloneAction,
  /** The nodes; null: every node. */
  nodes: z.array(NodeId).nullable(),
  /** How many nodes are served at the same time. One that waits for its node to return does not count. */
  concurrency: z.number().int().min(1),
  /** The progress of the previous run when it continued as new. */
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

/** The result of a propagation: the final state of each of its nodes. */
export const PropagateResult = z.strictObject({ results: z.array(NodeSettled) });
export type PropagateResult = z.infer<typeof PropagateResult>;

export const ProjectMemorySyncInput = z.strictObject({ projectId: z.string() });
export type ProjectMemorySyncInput = z.infer<typeof ProjectMemorySyncInput>;

/** The state of a space's leadership, as its workflow holds it; times are epoch ms. */
export const LeadershipState = z.strictObject({
  cid: z.string(),
  /** The primary; null when the lease expired and nobody has been chosen since. */
  primary: ReportedId.nullable(),
  epoch: z.number().int().nonnegative(),
  leaseSeconds: z.number().int(),
  issuedAt: EpochMs,
  expiresAt: EpochMs,
  issuedBy: z.string(),
});
export type LeadershipState = z.infer<typeof LeadershipState>;

/** A promotion request; without a node it removes the primary. */
export const SelectRequest = z.strictObject({
  node: ReportedId.nullable(),
  leaseSeconds: z.number().int().positive(),
  by: z.string(),
  /** The leadership epoch of the lease found in the object store; the next one is greater. */
  above: z.number().int().optional(),
});
export type SelectRequest = z.infer<typeof SelectRequest>;

export const LeadershipInput = z.strictObject({
  cid: z.string(),
  /** Null at the very first start; otherwise the state at the end of the previous run. */
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
