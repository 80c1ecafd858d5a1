import { AgentEngineWay } from './engine-tunnel.ts';
import { Membership } from '../memory/membership.ts';
import { z } from 'zod';
import { MemoryStatus, SpaceConfig } from '../memory/memory.ts';
import { Label } from '../tasks/tasks.ts';
import { NodeStanding, NodeWork } from './node-standing.ts';
import { EpochMs, NodeId, ReportedId, openEnum } from '../http/primitives.ts';

export { ONLINE_WITHIN_MS, ORIGINAL_WITHIN_MS } from './node-standing.ts';

export const NodeCapabilities = z.strictObject({
  claude_cli: z.boolean().default(false),
  max_concurrency: z.number().int().min(1).max(32).default(1),
  labels: z.array(z.string().max(64)).max(32).default([]),
});
export type NodeCapabilities = z.infer<typeof NodeCapabilities>;

/** How a node isolates the programs of tasks from the rest of the machine. */
export const TaskSandbox = z.strictObject({
  mode: openEnum(z.enum(['bubblewrap', 'none']), 'none'),
  /** Whether the node takes no tasks because it lacks a sandbox. */
  refuses: z.boolean(),
  /** The reason and what to do, for people; null when there is nothing to do. */
  detail: z.string().max(1_000).nullable(),
});
export type TaskSandbox = z.infer<typeof TaskSandbox>;

/** The facts about a node; sent at enrolment and with every heartbeat. */
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
  /** Tasks that are running now. */
  tasks_running: z.number().int().nonnegative().default(0),
  /** Names or canonical ids of the spaces that the machine's owner allows; absent: all. */
  spaces: z.array(z.string().max(128)).max(1_000).optional(),
  /** Absent at enrolment, and from agents that do not report it. */
  task_sandbox: TaskSandbox.optional(),
  /** What it found when it last checked whether it can work. Absent at enrolment, and from agents before 0.5. */
  work: NodeWork.optional(),
  /** Whether its agent answers calls of people (agent-calls.ts). Absent at enrolment, and from agents before 0.5. */
  answers_calls: z.boolean().optional(),
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

/** The access to the object store. `endpoint` is a full URL. */
export const StoreAccess = z.strictObject({
  endpoint: z.string(),
  region: z.string(),
  bucket: z.string(),
  access_key: z.string(),
  secret_key: z.string(),
  session_token: z.string().optional(),
});
export type StoreAccess = z.infer<typeof StoreAccess>;

/** How agents reach objects: at the store with its keys, or through the control plane with their own key. */
export const AgentStoreWay = z.enum(['direct', 'control-plane']);
export type AgentStoreWay = z.infer<typeof AgentStoreWay>;

/**
 * The store address for an agent that reaches objects through the control plane. Agents before 0.5 do not know that
 * way; the error that this address causes there names what to do.
 */
export const NO_STORE_ACCESS: StoreAccess = {
  endpoint: 'http://update-this-agent.invalid',
  region: '',
  bucket: 'none',
  access_key: 'none',
  secret_key: 'none',
};

/** The addresses and keys that an agent connects with. It asks for them at each start, because they may change. */
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

/** The answer to an enrolment: everything an agent needs, sent once. */
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
  /** The leases that it holds, and when Temporal last confirmed each (epoch ms). */
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
  /** Whether the node must not begin further tasks. */
  drained: z.boolean().default(false),
  /** Pools that it may serve besides the default one. Sent only to an agent that names its membership. */
  pools: z.array(z.string()).optional(),
  /** Sent only to an agent that names its membership (X-MEMBRIDGE-MEMBERSHIP), when that differs. */
  membership: Membership.optional(),
  /** Whether a space's workflow accepts notices of new memories. Sent only to an agent that names its membership. */
  waves: z.boolean().optional(),
});
export type AgentHeartbeatResponse = z.infer<typeof AgentHeartbeatResponse>;

/** Pools of a node besides the default one. It serves those that are in both lists. */
export const NodePools = z.strictObject({
  /** What its owner set in MEMBRIDGE_LABELS. */
  asked: z.array(z.string()),
  /** What a person allowed. */
  allowed: z.array(z.string()),
});
export type NodePools = z.infer<typeof NodePools>;

/** The body of `PUT /api/runtime/workers/:id/pools`: all pools that it may serve besides the default one. */
export const AllowPools = z.strictObject({ pools: z.array(Label).max(32) });

/** A node as the API shows it. Field names follow the original's WorkerNode. */
export const Node = z.strictObject({
  id: ReportedId,
  node_id: ReportedId,
  /** `original`: a machine with the original's agent. The API shows its reports, and gives it nothing to do. */
  kind: z.enum(['membridge', 'original']),
  hostname: z.string(),
  url: z.string(),
  /** By the control plane's clock: online while the last heartbeat is at most ONLINE_WITHIN_MS old. */
  status: z.enum(['online', 'offline', 'unknown']),
  /** What it can take, and why not, at the moment of the answer: a node that stops reporting takes nothing. */
  standing: NodeStanding,
  last_heartbeat: EpochMs.nullable(),
  registered_at: EpochMs,
  /** `labels` are the pools that it serves besides the default one: it asks for them, and a person allowed them. */
  capabilities: NodeCapabilities,
  /** Empty lists where the control plane of a remote fleet is of an earlier version. */
  pools: NodePools.default({ asked: [], allowed: [] }),
  ip_addrs: z.array(z.string()),
  agent_version: z.string(),
  os_info: z.string(),
  dryrun: z.boolean(),
  memory: MemoryStatus.nullable(),
  obs_count: z.number().int(),
  db_sha: z.string(),
  active_leases: z.number().int(),
  /** Whether it gets no new tasks; running ones continue. */
  drained: z.boolean(),
  /** Null until the node reports it. */
  task_sandbox: TaskSandbox.nullable(),
  install_method: z.string(),
});
export type Node = z.infer<typeof Node>;

/** The body of `POST /api/runtime/enrolment-tokens`. Without a node id the token enrols a node of any name. */
export const CreateEnrolmentToken = z.strictObject({
  node_id: NodeId.optional(),
  ttl_seconds: z.number().int().min(60).max(604_800).default(3_600),
  /** Pools that the node may serve besides the default one. */
  pools: z.array(Label).max(32).default([]),
});
export const EnrolmentToken = z.strictObject({
  token: z.string(),
  node_id: NodeId.nullable(),
  expires_at: EpochMs,
  /** The pin of the certificate authority that a new node must trust; absent where the system's trust suffices. */
  server_pin: z.string().optional(),
});
export type EnrolmentToken = z.infer<typeof EnrolmentToken>;
