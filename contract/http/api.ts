import { z } from 'zod';
import { SpaceNodeSettings } from '../memory/memory.ts';
import { CanonicalId, EpochMs, NodeId, ProjectName, ReportedId, SyncAction } from './primitives.ts';
import { ControlPlaneConnection } from '../runtime-config.ts';

/** An error body: RFC 9457 problem+json, plus the original's `error` string. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.string(),
  request_id: z.string(),
  /** The original's field: the same sentence as `detail`. */
  error: z.string(),
  fields: z.array(z.object({ field: z.string(), problem: z.string() })).optional(),
});
export type Problem = z.infer<typeof Problem>;

/** `POST /api/session`: a browser signs in with the API key and gets an httpOnly cookie. */
export const SignIn = z.strictObject({ key: z.string().min(1).max(512) });
export const Session = z.strictObject({ signed_in: z.boolean(), expires_at: EpochMs.nullable() });
export type Session = z.infer<typeof Session>;

/** `GET /api/sessions`: a browser that is signed in. */
export const SignedInBrowser = z.strictObject({
  id: z.string(),
  /** The address it signed in from, and its User-Agent; empty for one that signed in before version 0.5. */
  address: z.string(),
  user_agent: z.string(),
  created_at: EpochMs,
  expires_at: EpochMs,
  /** Whether it is the browser that sent this request. */
  is_this: z.boolean(),
});
export type SignedInBrowser = z.infer<typeof SignedInBrowser>;

/** `POST /api/membridge/spaces`. `projects` defaults to the name itself; `["*"]` covers every project. */
export const CreateSpace = z.strictObject({
  name: ProjectName,
  projects: z.array(ProjectName).min(1).max(1_000).optional(),
});

/** A project's name, in places where `*` (every project) is not allowed. */
const OneProject = ProjectName.refine((name) => name !== '*', 'must be one project, not "*"');

/**
 * `PATCH /api/membridge/spaces/:cid`: changes the given fields. A new name gives the space a new canonical id; the
 * former one becomes an alias, so that the space keeps its memory.
 */
export const UpdateSpace = z
  .strictObject({
    name: ProjectName.optional(),
    projects: z.array(ProjectName).min(1).max(1_000).optional(),
    excluded: z.array(OneProject).max(1_000).optional(),
    aliases: z.array(CanonicalId).max(100).optional(),
    redact: z.boolean().optional(),
    encrypted: z.boolean().optional(),
    mirror: z.boolean().optional(),
  })
  .refine((given) => Object.keys(given).length > 0, 'name at least one setting to change');
export type UpdateSpace = z.infer<typeof UpdateSpace>;

/** `PUT /api/membridge/spaces/:cid/nodes/:node/settings`: replaces the node's settings. */
export const PutNodeSettings = z.strictObject({
  names: z
    .record(OneProject, OneProject)
    .refine((names) => Object.keys(names).length <= 1_000, 'must be at most 1000 names'),
  trust: SpaceNodeSettings.shape.trust,
});
export type PutNodeSettings = z.infer<typeof PutNodeSettings>;

/** `POST /api/membridge/spaces/:cid/sync`. Without a node: every live node. */
export const RequestSync = z.strictObject({
  action: SyncAction.default('sync'),
  node_id: NodeId.optional(),
});
export const RequestSyncResponse = z.strictObject({
  jobs: z.array(
    z.strictObject({
      job_id: z.string(),
      node_id: NodeId,
      workflow_id: z.string(),
      history_url: z.string().nullable(),
    }),
  ),
});
export type RequestSyncResponse = z.infer<typeof RequestSyncResponse>;

export const ListJobs = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  project: z.string().optional(),
  node: NodeId.optional(),
});

/** The health of one part that the control plane depends on, as `GET /api/runtime/health` shows it. */
export const PartHealth = z.strictObject({
  name: z.enum(['postgresql', 'temporal', 'object-store']),
  ok: z.boolean(),
  detail: z.string(),
  ms: z.number(),
});
export const RuntimeHealth = z.strictObject({
  status: z.enum(['ok', 'degraded']),
  service: z.literal('bloom-runtime'),
  version: z.string(),
  /** Seconds since the process started. */
  uptime: z.number(),
  storage: z.literal('postgresql'),
  now: EpochMs,
  temporal_ui: z.string().nullable(),
  parts: z.array(PartHealth),
  /** The connection to the control plane; always well where this process is the control plane. */
  membridge: ControlPlaneConnection,
});
export type RuntimeHealth = z.infer<typeof RuntimeHealth>;

export const RuntimeStats = z.strictObject({
  nodes: z.strictObject({ total: z.number().int(), online: z.number().int() }),
  spaces: z.number().int(),
  jobs: z.strictObject({
    last_24h: z.number().int(),
    failed_24h: z.number().int(),
    running: z.number().int(),
  }),
  /** The original's figures. */
  tasks: z.strictObject({
    total: z.number().int(),
    by_status: z.record(z.string(), z.number().int()),
    completed_24h: z.number().int(),
    failed_24h: z.number().int(),
    cost_usd_24h: z.number(),
  }),
  leases: z.strictObject({ total: z.number().int(), active: z.number().int() }),
  workers: z.strictObject({ total: z.number().int(), online: z.number().int() }),
  rows_synced_24h: z.number().int(),
  bytes_synced_24h: z.number().int(),
});
export type RuntimeStats = z.infer<typeof RuntimeStats>;

/** Bodies of the original's control plane, with its field names and limits. As there, unknown fields are dropped. */
export const OriginalCreateProject = z.object({ name: ProjectName });
export const OriginalProject = z.strictObject({
  name: z.string(),
  canonical_id: CanonicalId,
  created_at: EpochMs,
  last_seen: EpochMs.nullable(),
  nodes_count: z.number().int(),
  source: z.enum(['manual', 'heartbeat']),
});
export const OriginalAgent = z.strictObject({
  name: ReportedId,
  url: z.string(),
  status: z.string(),
  registered_at: EpochMs,
  last_seen: EpochMs.nullable(),
});
export const OriginalSync = z.object({ project: ProjectName, agent: ReportedId });
export const OriginalSyncResponse = z.strictObject({
  ok: z.boolean(),
  project: z.string(),
  agent: ReportedId,
  canonical_id: CanonicalId,
  detail: z.string(),
  job_id: z.string(),
});
export const OriginalProjectNode = z.strictObject({
  node_id: ReportedId,
  canonical_id: ReportedId,
  role: z.string(),
  obs_count: z.number().int(),
  db_sha: z.string(),
  last_seen: EpochMs.nullable(),
  ip_addrs: z.array(z.string()),
  registered_at: EpochMs,
  project_id: z.string(),
});
