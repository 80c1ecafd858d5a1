import { z } from 'zod';
import { Job } from '../memory/memory.ts';
import { NOT_STORABLE, ONE_LINE, ReportedId, isStorable } from './primitives.ts';

/**
 * More bodies of the original's control plane, besides those of api.ts, with its field names and limits. As there,
 * unknown fields are dropped, not refused: scripts and agents send some that it never read.
 */
export const OriginalRegisterAgent = z.object({ name: ReportedId, url: z.string().max(512) });

/** `POST /api/runtime/workers`: the original's agent registers itself, or a person names one. */
export const OriginalRegisterWorker = z.strictObject({
  name: ReportedId,
  url: z.string().max(512).default(''),
  status: z.enum(['online', 'offline', 'syncing', 'error', 'unknown']).default('online'),
  capabilities: z
    .strictObject({
      claude_cli: z.boolean().default(true),
      max_concurrency: z.number().int().min(1).max(32).default(1),
      labels: z.array(z.string().max(64).refine(isStorable, NOT_STORABLE)).max(32).default([]),
    })
    .prefault({}),
  ip_addrs: z.array(z.string().max(64)).max(64).default([]),
  agent_version: z.string().max(64).default('unknown'),
  os_info: z.string().max(255).refine(isStorable, NOT_STORABLE).default(''),
  install_method: z.string().max(64).default('manual'),
});

/** `GET /jobs`: the original has no other parameters. */
export const OriginalListJobs = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  project: z.string().optional(),
});
/** A job with the fields that the original got from running a script: its output, and its exit code. */
export const OriginalJob = z.strictObject({
  ...Job.shape,
  stdout: z.string(),
  stderr: z.string(),
  /** 0 when it succeeded, 1 when it failed, null before. */
  returncode: z.number().int().nullable(),
  dryrun: z.boolean(),
  request_id: z.string().nullable(),
});

/** The original agent's report about one of its projects. The node's own clock (`last_seen`) is not trusted. */
export const OriginalHeartbeat = z.object({
  node_id: ReportedId,
  canonical_id: ReportedId,
  obs_count: z.number().int().min(0).max(2_147_483_647).nullish(),
  db_sha: z.string().max(128).nullish(),
  last_seen: z.union([z.number(), z.string().max(64)]).nullish(),
  ip_addrs: z.array(z.string().max(64)).max(64).nullish(),
  project_id: z
    .string()
    .max(512)
    .regex(ONE_LINE, 'must not contain control characters')
    .refine(isStorable, NOT_STORABLE)
    .or(z.literal(''))
    .nullish(),
  agent_version: z.string().max(64).nullish(),
});

/** The role of a node in a project. */
export const OriginalRole = z.enum(['primary', 'secondary', 'unknown']);
export type OriginalRole = z.infer<typeof OriginalRole>;
export const OriginalHeartbeatResponse = z.strictObject({
  ok: z.literal(true),
  role: OriginalRole,
  canonical_id: ReportedId,
});
