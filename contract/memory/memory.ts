import { z } from 'zod';
import { Uncovered } from './uncovered.ts';
import { CanonicalId, EpochMs, NodeId, SyncAction, SyncTrigger, openEnum } from '../http/primitives.ts';

/** What a node does with the memories of another node: merge them, hold them until a person decides, or not fetch them. */
export const Trust = z.enum(['accept', 'hold', 'ignore']);
export type Trust = z.infer<typeof Trust>;

/**
 * A space as one node takes part in it: a canonical id and the claude-mem projects that it covers (`*` means every
 * one). An absent field means its default, so that configurations of older versions stay valid.
 */
export const SpaceConfig = z.strictObject({
  cid: CanonicalId,
  projectId: z.string(),
  projects: z.array(z.string().min(1)).min(1),
  /** Older canonical ids of this space, so that a renamed project keeps its memory. They are read, never written. */
  aliases: z.array(CanonicalId).optional(),
  /** Projects that are never sent, by their names in the space, although `projects` covers them. */
  excluded: z.array(z.string().min(1)).optional(),
  /** Maps this node's names of claude-mem projects to their names in the space. */
  names: z.record(z.string().min(1), z.string().min(1)).optional(),
  /** Whether secrets are removed from what is sent; true by default. One choice for all nodes. */
  redact: z.boolean().optional(),
  /** Whether segments are encrypted for the nodes of the space. */
  encrypted: z.boolean().optional(),
  /** The nodes that may read an encrypted space; absent: every node that published a key. */
  members: z.array(NodeId).optional(),
  /** What this node does with the memories of others; `accept` by default. An unknown value means `hold`. */
  trust: z.record(NodeId, openEnum(Trust, 'hold')).optional(),
});
export type SpaceConfig = z.infer<typeof SpaceConfig>;

/** Requests and bytes that one activity exchanged with the object store. */
export const Traffic = z.strictObject({
  requests: z.number().int(),
  bytesUp: z.number().int(),
  bytesDown: z.number().int(),
});
export type Traffic = z.infer<typeof Traffic>;

/** Memories that a push did not send because their project is excluded. */
export const Withheld = z.strictObject({
  /** The claude-mem project's name on the node. */
  project: z.string(),
  /** How the project relates to which excluded one. */
  reason: z.string(),
  rows: z.number().int(),
});
export type Withheld = z.infer<typeof Withheld>;

/** The result of a push. `rows` counts the operations sent, by this node's own detection of changes. */
export const PushResult = z.strictObject({
  rows: z.number().int(),
  segments: z.number().int(),
  head: z.strictObject({ epoch: z.string(), seq: z.number().int() }).nullable(),
  /** What was withheld, and why; absent when nothing was. */
  withheld: z.array(Withheld).optional(),
  /** Present when nothing was sent because the space covers nothing in this node's database. */
  uncovered: Uncovered.optional(),
  /** Why the segments of other nodes could not be merged; this node's own memories were sent nevertheless. */
  unmerged: z.strictObject({ code: z.string(), message: z.string() }).optional(),
  traffic: Traffic,
  ms: z.number(),
});
export type PushResult = z.infer<typeof PushResult>;

/** The result of a pull: operations read, rows inserted, updated and deleted, operations that wait. */
export const PullResult = z.strictObject({
  operations: z.number().int(),
  inserted: z.number().int(),
  updated: z.number().int(),
  /** Rows deleted because another node deleted them; absent in histories of older versions. */
  deleted: z.number().int().optional(),
  waiting: z.number().int(),
  segments: z.number().int(),
  /** Peers whose segments could not be used this time, each with the reason; the segments of other peers were used. */
  problems: z.array(z.strictObject({ node: NodeId, problem: z.string() })),
  /** Present when nothing came in and the space covers nothing in this node's database. */
  uncovered: Uncovered.optional(),
  traffic: Traffic,
  ms: z.number(),
});
export type PullResult = z.infer<typeof PullResult>;

/** Rows of each kind in a claude-mem database. */
export const RowCounts = z.object({
  sessions: z.number().int(),
  prompts: z.number().int(),
  observations: z.number().int(),
  summaries: z.number().int(),
});
export type RowCounts = z.infer<typeof RowCounts>;

/** How one kind of work last ended in one space, by the node's clock. */
export const WorkOutcome = z.object({
  ok_at: EpochMs.nullable(),
  /** The last failure; null after a success. `since` is the first of consecutive failures. */
  failure: z.object({ code: z.string(), message: z.string(), at: EpochMs, since: EpochMs }).nullable(),
});
export type WorkOutcome = z.infer<typeof WorkOutcome>;

/** How a node's syncs in one space ended, and what it holds of other nodes' memories without having merged it. */
export const SpaceSync = z.object({
  space: CanonicalId,
  name: z.string(),
  /** When the agent first synced or watched this space. */
  since: EpochMs,
  push: WorkOutcome,
  /** The merge of fetched segments during a push. Its failure does not stop this node's own memories from being sent. */
  merge: WorkOutcome,
  pull: WorkOutcome,
  /** Segments that were fetched and not merged yet. */
  staged: z.number().int(),
  /** Segments of nodes that this one does not trust (yet), held back. */
  held: z.number().int(),
  /** Rows that cannot be merged yet, since when the oldest waits, and why. */
  waiting: z.number().int(),
  waiting_since: EpochMs.nullable(),
  waiting_reason: z.string().nullable(),
  /** What the last pull could not use, such as a segment that does not verify. */
  problems: z.array(z.string()),
});
export type SpaceSync = z.infer<typeof SpaceSync>;

/** The states of a node's memory. `ready`: the database is usable, and every space is in sync (contract/memory/sync-state.ts). */
export const MemoryState = z.enum([
  'ready',
  'missing',
  'corrupt',
  'unknown-schema',
  'locked',
  'starting',
  'unreadable',
  'index-damaged',
  'held',
  'failing',
  'stale',
]);

/**
 * What an agent knows about its claude-mem database; sent with each heartbeat. Read loosely, because an agent may be
 * newer than the control plane.
 */
export const MemoryStatus = z.object({
  path: z.string(),
  /** An unknown state counts as failing: a newer agent has a reason to report it. */
  state: openEnum(MemoryState, 'failing'),
  /** One sentence: why the state is not `ready`. */
  detail: z.string().nullable(),
  schema: z.string().nullable(),
  rows: RowCounts.nullable(),
  bytes: z.number().int().nullable(),
  /** Deleted memories that wait for a person to confirm them (memory_guarded); absent from agents of older versions. */
  heldDeletes: z.number().int().optional(),
  /** Segments of nodes that this one does not trust (yet), held back. */
  heldSegments: z.number().int().optional(),
  /** How the syncs of each space ended; absent from agents of older versions. */
  syncs: z.array(SpaceSync).optional(),
  checkedAt: EpochMs,
});
export type MemoryStatus = z.infer<typeof MemoryStatus>;

export const JobStatus = z.enum(['pending', 'running', 'completed', 'failed']);
export type JobStatus = z.infer<typeof JobStatus>;

/** One requested sync of one node in one space, as people read it. Field names follow the original's jobs. */
export const Job = z.strictObject({
  id: z.string(),
  action: SyncAction,
  trigger: SyncTrigger,
  project: z.string(),
  canonical_id: CanonicalId,
  agent: NodeId,
  status: JobStatus,
  /** One sentence for people: what happened, or what the job waits for. */
  detail: z.string(),
  error_code: z.string().nullable(),
  workflow_id: z.string(),
  run_id: z.string(),
  /** The job's history in the Temporal UI; null when the UI's address is unknown. */
  history_url: z.string().nullable(),
  rows_sent: z.number().int(),
  rows_inserted: z.number().int(),
  rows_updated: z.number().int(),
  /** Rows deleted because another node deleted them. */
  rows_deleted: z.number().int(),
  bytes_up: z.number().int(),
  bytes_down: z.number().int(),
  requests: z.number().int(),
  created_at: EpochMs,
  finished_at: EpochMs.nullable(),
  /** Time from the round's start to its end, in milliseconds. */
  ms: z.number().nullable(),
});
export type Job = z.infer<typeof Job>;

/** How the last round of a node in a space ended, or that it is running. */
export const RoundStatus = z.enum(['new', 'syncing', 'in-step', 'failed']);

/** The last round of one node in one space. */
export const SpaceNode = z.strictObject({
  canonical_id: CanonicalId,
  node_id: NodeId,
  last_push_at: EpochMs.nullable(),
  last_pull_at: EpochMs.nullable(),
  head_epoch: z.string().nullable(),
  head_seq: z.number().int(),
  rows_sent: z.number().int(),
  rows_received: z.number().int(),
  bytes_up: z.number().int(),
  bytes_down: z.number().int(),
  /** As contract/memory/sync-state.ts decides it, from the rounds, the node's reports, and their age. */
  status: z.enum(['new', 'syncing', 'in-step', 'failed', 'held', 'stale']),
  /** One sentence: what was last done, or why the node is not in sync. */
  detail: z.string(),
  /** The result of the last recorded round only; absent in events. */
  round: z.strictObject({ status: RoundStatus, detail: z.string() }).optional(),
});
export type SpaceNode = z.infer<typeof SpaceNode>;

/** How one node's settings in a space differ from the others': names of projects, and trust. */
export const SpaceNodeSettings = z.strictObject({
  node_id: NodeId,
  /** Maps this node's names of claude-mem projects to their names in the space. */
  names: z.record(z.string(), z.string()),
  /** What this node does with the memories of others; `accept` for nodes that are not listed. */
  trust: z.record(NodeId, Trust),
});
export type SpaceNodeSettings = z.infer<typeof SpaceNodeSettings>;

export const Space = z.strictObject({
  canonical_id: CanonicalId,
  name: z.string(),
  projects: z.array(z.string()),
  /** Projects that are never sent although `projects` covers them. */
  excluded: z.array(z.string()),
  /** Older canonical ids of this space: objects under them are still read, and API paths accept them. */
  aliases: z.array(CanonicalId),
  /** Whether secrets are removed from what is sent. */
  redact: z.boolean(),
  /** Whether segments are encrypted for the space's nodes. */
  encrypted: z.boolean(),
  /** Whether the primary publishes the original's whole-file snapshot, for machines that still use its scripts. */
  mirror: z.boolean(),
  /** Nodes with their own settings; the others have the defaults. */
  settings: z.array(SpaceNodeSettings),
  created_at: EpochMs,
  nodes: z.array(SpaceNode),
});
export type Space = z.infer<typeof Space>;

/** A space without its nodes. */
export const SpaceFacts = Space.omit({ nodes: true, settings: true });
export type SpaceFacts = z.infer<typeof SpaceFacts>;

/** Removes the nodes and their settings from a space. */
export function spaceFacts({ nodes: _nodes, settings: _settings, ...facts }: Space): SpaceFacts {
  return facts;
}

/** Counts of enrolled nodes in a space: one for each status of `SpaceNode`, and two more. */
export const MemberCounts = z.strictObject({
  enrolled: z.number().int(),
  /** Nodes that are syncing and online. The other syncing nodes wait. */
  busy: z.number().int(),
  new: z.number().int(),
  syncing: z.number().int(),
  'in-step': z.number().int(),
  failed: z.number().int(),
  held: z.number().int(),
  stale: z.number().int(),
});
export type MemberCounts = z.infer<typeof MemberCounts>;

/** A space as lists show it: counts instead of its nodes. */
export const SpaceSummary = SpaceFacts.extend({ members: MemberCounts });
export type SpaceSummary = z.infer<typeof SpaceSummary>;

/** A node in a space. Every enrolled node takes part, even before its first sync. */
export const SpaceMember = z.strictObject({
  record: SpaceNode,
  /** False for a removed node that the space still has a record of. */
  enrolled: z.boolean(),
  last_heartbeat: EpochMs.nullable(),
  /** Its differing settings; null when it has none. */
  settings: SpaceNodeSettings.nullable(),
});
export type SpaceMember = z.infer<typeof SpaceMember>;

/** `GET /api/membridge/spaces/:cid/members`. */
export const ListMembers = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).default(50),
  offset: z.coerce.number().int().min(0).max(1_000_000).default(0),
  /** Only this node. */
  node: NodeId.optional(),
  /** Nodes whose id contains this. */
  q: z.string().max(128).optional(),
  status: SpaceNode.shape.status.optional(),
  /** By name; by status, the worst first; or by the last pull, the oldest first. */
  sort: z.enum(['node', 'status', 'last_pull']).default('node'),
});
export type ListMembers = z.infer<typeof ListMembers>;
export const MembersPage = z.strictObject({
  /** How many nodes match. */
  total: z.number().int(),
  /** Counts all nodes, whether they match or not. */
  members: MemberCounts,
  rows: z.array(SpaceMember),
});
export type MembersPage = z.infer<typeof MembersPage>;
