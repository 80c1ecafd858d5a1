import { HTTP_LEASE_SECONDS } from './lease-life.ts';
import { z } from 'zod';
import { EpochMs, NOT_STORABLE, ONE_LINE, ReportedId, isStorable } from '../http/primitives.ts';
import { Usage } from './runs.ts';
import { Task } from './tasks.ts';

/** The status of a lease, in the original's words. `failed`: its worker reported a failure. */
export const LeaseStatus = z.enum(['active', 'expired', 'released', 'failed']);
export type LeaseStatus = z.infer<typeof LeaseStatus>;

/** One attempt at a task. Field names follow the original. */
export const Lease = z.strictObject({
  id: z.string(),
  task_id: z.string(),
  worker_id: z.string(),
  /** The lease epoch, which is the fencing token: a write with an older one is refused. */
  epoch: z.number().int(),
  /** `agent`: Temporal gave the task to an agent; `http`: a worker leased it over the API. */
  kind: z.enum(['agent', 'http']),
  started_at: EpochMs,
  expires_at: EpochMs,
  ttl_seconds: z.number().int(),
  status: LeaseStatus,
  last_heartbeat: EpochMs,
  context_id: z.string(),
  ended_at: EpochMs.nullable(),
  end_reason: z.string().nullable(),
});
export type Lease = z.infer<typeof Lease>;

/** As in the original, 0 and null mean the default. */
const ttl = z.preprocess(
  (value) => (value === 0 || value === null ? undefined : value),
  z.number().int().min(HTTP_LEASE_SECONDS.min).max(HTTP_LEASE_SECONDS.max).optional(),
);

/** `POST /api/runtime/llm-tasks/:id/lease`. */
export const LeaseTask = z.strictObject({
  worker_id: ReportedId.optional(),
  ttl_seconds: ttl.transform((seconds) => seconds ?? HTTP_LEASE_SECONDS.default),
});

/** `POST /api/runtime/llm-tasks/:id/dispatch`. */
export const DispatchTask = z.strictObject({
  worker_id: ReportedId.optional(),
  ttl_seconds: ttl,
  /** Whether other attempts follow a failed one, up to max_attempts. As in the original, the default is no. */
  retry: z.boolean().default(false),
  /** Whether the call waits until the task has ended, like the original, or returns immediately. */
  wait: z.boolean().default(true),
});

/** The lease that a worker acts for. It may be left out only while the task was never leased twice. */
const fencing = {
  lease_id: z.string().max(64).optional(),
  epoch: z.number().int().positive().optional(),
  worker_id: ReportedId.optional(),
};

/** `POST /api/runtime/llm-tasks/:id/heartbeat`. */
export const HeartbeatTask = z.strictObject(fencing);

/** `POST /api/runtime/llm-tasks/:id/release`: the worker gives the task back; the attempt does not count. */
export const ReleaseTask = z.strictObject({ ...fencing, reason: z.string().max(500).default('') });

/** `POST /api/runtime/llm-tasks/:id/complete`. The original's agents send `tokens_used: null`. */
export const CompleteTask = z.strictObject({
  ...fencing,
  status: z.enum(['success', 'error']),
  output: z.string().nullish(),
  error_message: z.string().max(10_000).nullish(),
  /** After an error: whether another attempt may help. The original never retried automatically. */
  retryable: z.boolean().default(false),
  metrics: z
    .strictObject({
      duration_ms: z.number().nonnegative().default(0),
      tokens_used: z.number().int().nonnegative().nullish(),
      cost_usd: z.number().nonnegative().max(1_000_000).nullish(),
    })
    .prefault({}),
  artifact_type: z
    .string()
    .min(1)
    .max(64)
    .regex(ONE_LINE, 'must not contain control characters')
    .refine(isStorable, NOT_STORABLE)
    .optional(),
  /** Empty tags are left out. */
  artifact_tags: z.array(z.string().max(64).refine(isStorable, NOT_STORABLE)).max(32).default([]),
});
export type CompleteTask = z.infer<typeof CompleteTask>;

/** The result of an attempt. Field names follow the original's llm_results. */
export const TaskResult = z.strictObject({
  id: z.string(),
  task_id: z.string(),
  lease_id: z.string(),
  worker_id: z.string(),
  artifact_id: z.string().nullable(),
  status: z.enum(['success', 'error']),
  /** The first 64 KiB of the output; the artifact holds all of it. Null in answers that leave it out. */
  output: z.string().nullable(),
  error_code: z.string().nullable(),
  error_message: z.string().nullable(),
  /** The exit code of the program; null when no program ended on an agent. */
  exit_code: z.number().int().nullable(),
  metrics: z.strictObject({
    duration_ms: z.number(),
    tokens_used: z.number().int(),
    cost_usd: z.number(),
    usage: Usage,
  }),
  notes: z.array(z.string()),
  completed_at: EpochMs,
});
export type TaskResult = z.infer<typeof TaskResult>;

/** One attempt with its result, as `GET /api/runtime/runs` lists them. */
export const Run = z.strictObject({
  /** The task's fields, because the original's `GET /api/runtime/runs` listed tasks. Prompts are cut after 200 characters. */
  ...Task.shape,
  lease: Lease,
  task_status: z.string(),
  result: TaskResult.nullable(),
});
export type Run = z.infer<typeof Run>;

/** One task with its last attempt; null when there was none, or the task was queued again. */
export const TaskRun = z.strictObject({ ...Run.shape, lease: Lease.nullable() });
export type TaskRun = z.infer<typeof TaskRun>;
