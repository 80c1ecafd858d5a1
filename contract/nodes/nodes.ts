import { AgentEngineWay } from './engine-tunnel.ts';
import { Membership } from '../memory/membership.ts';
import { z } from 'zod';
import { MemoryStatus, SpaceConfig } from '../memory/memory.ts';
import { NodeStanding, NodeWork } from './node-standing.ts';
import { EpochMs, NodeId, ReportedId, openEnum } from '../http/primitives.ts';

export { ONLINE_WITHIN_MS, ORIGINAL_WITHIN_MS } from './node-standing.ts';

export const NodeCapabilities = z.strictObject({
  claude_cli: z.boolean().default(false),
  max_concurrency: z.number().int().min(1).max(32).default(1),
  labels: z.array(z.string().max(64)).max(32).default([]),
});
export type NodeCapabilities = z.infer<typeof NodeCapabilities>;

/** How a node keeps the programs of tasks apart from the rest of the machine. */
export const TaskSandbox = z.strictObject({
  mode: openEnum(z.enum(['bubblewrap', 'none']), 'none'),
  /** Whether the node takes no tasks for the want of a sandbox. */
  refuses: z.boolean(),
  /** Why it is so and what to do, for people; null where nothing is to be done. */
  detail: z.string().max(1_000).nullable(),
});
export type TaskSandbox = z.infer<typeof TaskSandbox>;

/** What a node is; sent at enrolment and with every heartbeat. */
export const NodeFacts = z.strictObject({
  hostname: z.string().max(255),
  os_info: z.string().max(255),
  arch: z.string().max(32),
  agent_version: z.string().max(64),
  pid: z.number().int(),
  started_at: EpochMs,
  url: z.string().max(512).default(''),
  ip_addrs: z.array(z.string().max(64)).max(64).default([]),
  dryrun: z.boolean().default(false),
  capabilities: NodeCapabilities.default({ claude_cli: false, max_concurrency: 1, labels: [] }),
  /** Tasks that it runs at the moment. */
  tasks_running: z.number().int().nonnegative().default(0),
  /** Names or canonical ids of the spaces that its owner lets it take part in; absent: all. */
  spaces: z.array(z.string().max(128)).max(1_000).optional(),
  /** Absent at enrolment, and from agents that do not say. */
  task_sandbox: TaskSandbox.optional(),
  /** What it found when it last looked whether it can work. Absent at enrolment, and from agents before 0.5. */
  work: NodeWork.optional(),
});
export type NodeFacts = z.infer<typeof NodeFacts>;

/** The body of `POST /api/agent/enrol`. `public_key` is the node's Ed25519 key, SPKI DER in base64. */
export const EnrolRequest = z.strictObject({
  token: z.string().min(1).max(256),
  node_id: NodeId,
  public_key: z.string().min(1).max(512),
  facts: NodeFacts,
});
export type EnrolRequest = z.infer<typeof EnrolRequest>;

/**
 * A node's public key, signed by the control plane. Peers trust a segment when its signature fits such a certificate.
 * The signature covers `membridge-certificate/1\n<node>\n<key_id>\n<public_key>\n<issued_at>` in UTF-8.
 */
export const NodeCertificate = z.strictObject({
  format: z.literal('membridge-certificate/1'),
  node: NodeId,
  key_id: z.string(),
  public_key: z.string(),
  issued_at: EpochMs,
  signature: z.string(),
});
export type NodeCertificate = z.infer<typeof NodeCertificate>;

/** How to reach the object store. `endpoint` is a full URL. */
export const StoreAccess = z.strictObject({
  endpoint: z.string(),
  region: z.string(),
  bucket: z.string(),
  access_key: z.string(),
  secret_key: z.string(),
  session_token: z.string().optional(),
});
export type StoreAccess = z.infer<typeof StoreAccess>;

/** How agents reach objects: at the store with its keys, or through the control plane with their own. */
export const AgentStoreWay = z.enum(['direct', 'control-plane']);
export type AgentStoreWay = z.infer<typeof AgentStoreWay>;

/**
 * What an agent gets as the store's address where it reaches objects through the control plane. Agents before 0.5 know no other way:
 * their errors then name what to do.
 */
export const NO_STORE_ACCESS: StoreAccess = {
  endpoint: 'http://update-this-agent.invalid',
  region: '',
  bucket: 'none',
  access_key: 'none',
  secret_key: 'none',
};

/** What an agent connects to; it asks at each start, because addresses and keys of these may change. */
export const AgentConnection = z.strictObject({
  temporal: z.strictObject({ address: z.string(), namespace: z.string() }),
  /** NO_STORE_ACCESS where `store_way` is `control-plane`. */
  store: StoreAccess,
  /** Absent: `direct`. With `tunnel`, the address of Temporal is empty. */
  engine_way: openEnum(AgentEngineWay, 'direct').optional(),
  /** Absent: `direct`. */
  store_way: openEnum(AgentStoreWay, 'direct').optional(),
});
export type AgentConnection = z.infer<typeof AgentConnection>;

/** The answer to an enrolment: everything an agent needs, told once. */
export const EnrolResponse = z.strictObject({
  node_id: NodeId,
  agent_key: z.string(),
  certificate: NodeCertificate,
  /** The control plane's Ed25519 public key, SPKI DER in base64: the root that certificates are checked against. */
  control_public_key: z.string(),
  ...AgentConnection.shape,
});
export type EnrolResponse = z.infer<typeof EnrolResponse>;

/** The body of `POST /api/agent/heartbeat`. */
export const AgentHeartbeat = z.strictObject({
  facts: NodeFacts,
  memory: MemoryStatus,
  /** The leases that it holds, and when the engine last confirmed each (epoch ms). */
  leases: z
    .array(z.strictObject({ lease_id: z.string().max(64), confirmed_at: EpochMs }))
    .max(1_000)
    .default([]),
});
export type AgentHeartbeat = z.infer<typeof AgentHeartbeat>;

/** The answer to a heartbeat: the spaces this node takes part in, and the control plane's clock. */
export const AgentHeartbeatResponse = z.strictObject({
  ok: z.literal(true),
  now: EpochMs,
  spaces: z.array(SpaceConfig),
  /** Whether it is to begin no more tasks. */
  drained: z.boolean().default(false),
  /** Only for an agent that says which one it has (X-MEMBRIDGE-MEMBERSHIP), and has another one. */
  membership: Membership.optional(),
  /** Whether a space's workflow takes what a node noticed. Sent only to an agent that names its membership. */
  waves: z.boolean().optional(),
});
export type AgentHeartbeatResponse = z.infer<typeof AgentHeartbeatResponse>;

/** A node as the API shows it. Field names follow the original's WorkerNode. */
export const Node = z.strictObject({
  id: ReportedId,
  node_id: ReportedId,
  /** `original`: a machine on the original's agent. It is shown with what it says of itself, and given nothing to do. */
  kind: z.enum(['membridge', 'original']),
  hostname: z.string(),
  url: z.string(),
  /** From one clock, the control plane's: online while the last heartbeat is at most ONLINE_WITHIN_MS old. */
  status: z.enum(['online', 'offline', 'unknown']),
  /** What it can take, and why not. Of the moment of the answer: a node that falls silent takes nothing. */
  standing: NodeStanding,
  last_heartbeat: EpochMs.nullable(),
  registered_at: EpochMs,
  capabilities: NodeCapabilities,
  ip_addrs: z.array(z.string()),
  agent_version: z.string(),
  os_info: z.string(),
  dryrun: z.boolean(),
  memory: MemoryStatus.nullable(),
  obs_count: z.number().int(),
  db_sha: z.string(),
  active_leases: z.number().int(),
  /** Whether it is given no new tasks; those that run go on. */
  drained: z.boolean(),
  /** Null while it is not reported. */
  task_sandbox: TaskSandbox.nullable(),
  install_method: z.string(),
});
export type Node = z.infer<typeof Node>;

/** The body of `POST /api/runtime/enrolment-tokens`. Without a node id the token enrols a node of any name. */
export const CreateEnrolmentToken = z.strictObject({
  node_id: NodeId.optional(),
  ttl_seconds: z.number().int().min(60).max(604_800).default(3_600),
});
export const EnrolmentToken = z.strictObject({
  token: z.string(),
  node_id: NodeId.nullable(),
  expires_at: EpochMs,
});
export type EnrolmentToken = z.infer<typeof EnrolmentToken>;
