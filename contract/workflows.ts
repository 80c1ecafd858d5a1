import { z } from 'zod';
import { PullResult, PushResult, SpaceConfig } from './memory.ts';
import { NodeId, SyncAction, SyncTrigger } from './primitives.ts';

/** The task queue of workflows and control-plane activities. */
export const CONTROL_QUEUE = 'control';

/** The task queue of one node: what must happen on that machine is an activity here. */
export const nodeQueue = (nodeId: string): string => `node:${nodeId}`;

export const syncMemoryId = (cid: string, nodeId: string): string => `memory-sync:${cid}:${nodeId}`;
export const memorySpaceId = (cid: string): string => `memory-space:${cid}`;

/** Search attributes, registered at start; all are keywords. */
export const SEARCH_ATTRIBUTES = [
  'MembridgeProject',
  'MembridgeNode',
  'MembridgeTask',
  'MembridgeStatus',
] as const;

/** One request to sync one node in one space. */
export const SyncRequest = z.strictObject({
  jobId: z.string().min(1),
  action: SyncAction,
  trigger: SyncTrigger,
});
export type SyncRequest = z.infer<typeof SyncRequest>;

export const SyncMemoryInput = z.strictObject({
  space: SpaceConfig,
  node: NodeId,
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
});
export type MemorySpaceInput = z.infer<typeof MemorySpaceInput>;

/** "This node pushed operations": the space's workflow answers by pulling on every other live node. */
export const NodePushed = z.strictObject({ node: NodeId, rows: z.number().int() });
export type NodePushed = z.infer<typeof NodePushed>;

/** Names of signals and updates, shared by workflows and their callers. */
export const MESSAGES = {
  requestSync: 'requestSync',
  syncAndWait: 'syncAndWait',
  nodePushed: 'nodePushed',
  nodeReturned: 'nodeReturned',
  closeSpace: 'closeSpace',
  configureSpace: 'configureSpace',
} as const;
