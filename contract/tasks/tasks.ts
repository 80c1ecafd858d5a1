import { AGENT_LEASE_SECONDS } from './lease-life.ts';
import { z } from 'zod';
import { EpochMs, NOT_STORABLE, NodeId, ONE_LINE, isStorable } from '../http/primitives.ts';
import { CronExpression } from '../projects/projects.ts';

/**
 * The status of a task: the original's words, and `cancelled`. `failed`: another attempt would not help. `dead`: all
 * attempts are used up. A requeue leads out of both. `completed` is final.
 */
export const TaskStatus = z.enum(['queued', 'leased', 'running', 'completed', 'failed', 'dead', 'cancelled']);
export type TaskStatus = z.infer<typeof TaskStatus>;

/** The limits of a task: the original's two, and ours. */
export const TaskPolicy = z.strictObject({
  timeout_sec: z.number().int().min(1).max(3_600).default(120),
  /** US dollars that one attempt may cost, as the program reports them; 0: no limit. */
  budget: z.number().min(0).max(10_000).default(0),
  /** Resident memory of all its processes, in MiB; null: no limit. */
  memory_mb: z.number().int().min(16).max(1_048_576).nullable().default(null),
  /** The most output, in KiB. */
  output_kb: z.number().int().min(1).max(65_536).default(16_384),
  /** The most tokens for context hints. */
  context_tokens: z.number().int().min(0).max(200_000).default(12_000),
});
export type TaskPolicy = z.infer<typeof TaskPolicy>;

/** The most characters in a prompt; the whole body may have a megabyte. */
const PROMPT_CHARS = 400_000;

/** The latest `not_before`, epoch ms: Temporal cannot wait for thousands of years. */
const MAX_NOT_BEFORE = Date.UTC(2100, 0, 1);

/** The name of a pool: a label that nodes have. */
export const Label = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, 'must be 1 to 63 letters, digits, "_", "." or "-"');

/** The text of MEMBRIDGE_LABELS: labels, separated by commas or spaces. */
export const LabelList = z
  .string()
  .transform((text) => text.split(/[\s,]+/).filter((label) => label !== ''))
  .pipe(z.array(Label).max(32));

/** The pool of every node. Other pools are named after a label of nodes. */
export const DEFAULT_POOL = 'default';

export const DEFAULT_PRIORITY = 3;

const ContextId = z
  .string()
  .min(1)
  // A PostgreSQL index entry holds at most 2,704 bytes.
  .max(512)
  .regex(ONE_LINE, 'must not contain control characters')
  .refine(isStorable, NOT_STORABLE);

const TaskId = z
  .string()
  .regex(/^task_[0-9a-f]{16}$/, 'must be the id of a task, such as task_0123456789abcdef');

/** `POST /api/runtime/llm-tasks`. */
export const CreateTask = z.strictObject({
  /** Tasks of one context go to the node that has its session; generated when absent. */
  context_id: ContextId.optional(),
  agent_slug: z
    .string()
    .min(1)
    .max(128)
    .regex(ONE_LINE, 'must not contain control characters')
    .refine(isStorable, NOT_STORABLE)
    .default('default'),
  prompt: z.string().min(1).max(PROMPT_CHARS).refine(isStorable, NOT_STORABLE),
  /** Empty hints are left out. */
  context_hints: z.array(z.string().max(1_024).refine(isStorable, NOT_STORABLE)).max(64).default([]),
  policy: TaskPolicy.prefault({}),
  desired_format: z.enum(['json', 'text']).default('text'),
  max_attempts: z.number().int().min(1).max(10).default(3),
  /** Whether agents take it automatically. The default is the original's: it waits for `dispatch` or `lease`. */
  auto_dispatch: z.boolean().default(false),
  /** A label that its node must have. */
  pool: Label.default(DEFAULT_POOL),
  /** The only node that may run it. */
  worker_id: NodeId.optional(),
  /** The managed project in whose clone it runs. */
  project_id: z.string().max(64).refine(isStorable, NOT_STORABLE).optional(),
  /** 1 runs first, 5 last. */
  priority: z.number().int().min(1).max(5).default(DEFAULT_PRIORITY),
  /** Tasks of one priority take turns by this key; the default is the agent profile and project. */
  fairness_key: z
    .string()
    .regex(/^[\x21-\x7e]{1,64}$/, 'must be 1 to 64 visible ASCII characters')
    .optional(),
  /** It does not run before this time, epoch ms. */
  not_before: EpochMs.max(MAX_NOT_BEFORE).optional(),
  /** Tasks that must complete first. If one of them no longer can, this task fails. */
  depends_on: z.array(TaskId).max(100).default([]),
  lease_ttl_seconds: z
    .number()
    .int()
    .min(AGENT_LEASE_SECONDS.min)
    .max(AGENT_LEASE_SECONDS.max)
    .default(AGENT_LEASE_SECONDS.default),
  artifact_type: z
    .string()
    .regex(/^[A-Z][A-Z0-9_]{0,63}$/, 'must be capital letters, digits and "_"')
    .default('LLM_RESULT'),
  tags: z.array(z.string().min(1).max(64).refine(isStorable, NOT_STORABLE)).max(32).default([]),
  /** Receives a signed POST when the task has ended. */
  webhook_url: z
    .url({ protocol: /^https?$/ })
    .max(2_048)
    .refine(isStorable, NOT_STORABLE)
    .optional(),
});
export type CreateTask = z.infer<typeof CreateTask>;

/** `POST /api/runtime/llm-tasks/batch`. Inside a batch, `depends_on` may also name other tasks of it by `ref`. */
export const CreateBatch = z.strictObject({
  tasks: z
    .array(
      z.strictObject({
        ...CreateTask.shape,
        /** A name within the batch. */
        ref: z
          .string()
          .regex(/^[A-Za-z0-9_.-]{1,64}$/)
          .optional(),
        depends_on: z.array(z.string().min(1).max(64)).max(100).default([]),
      }),
    )
    .min(1)
    .max(100),
});
export type CreateBatch = z.infer<typeof CreateBatch>;

/** Why a queued task does not run yet. */
export const Waiting = z.strictObject({
  /** The reason, for people: `no node of pool gpu is online`. */
  reason: z.string(),
  /** Its place among the tasks that wait for the same nodes, from 1; null while it is not in the queue. */
  position: z.number().int().nullable(),
});
export type Waiting = z.infer<typeof Waiting>;

/** A task as the API shows it. Field names follow the original. */
export const Task = z.strictObject({
  id: z.string(),
  context_id: z.string(),
  agent_slug: z.string(),
  /** Lists and events hold only the first 200 characters. */
  prompt: z.string(),
  context_hints: z.array(z.string()),
  policy: TaskPolicy,
  desired_format: z.enum(['json', 'text']),
  status: TaskStatus,
  created_at: EpochMs,
  updated_at: EpochMs,
  finished_at: EpochMs.nullable(),
  lease_id: z.string().nullable(),
  worker_id: z.string().nullable(),
  attempts: z.number().int(),
  max_attempts: z.number().int(),
  epoch: z.number().int(),
  /** Whether agents may take it. */
  dispatched: z.boolean(),
  pool: z.string(),
  requested_worker_id: z.string().nullable(),
  project_id: z.string().nullable(),
  priority: z.number().int(),
  fairness_key: z.string(),
  not_before: EpochMs.nullable(),
  depends_on: z.array(z.string()),
  lease_ttl_seconds: z.number().int(),
  artifact_type: z.string(),
  tags: z.array(z.string()),
  webhook_url: z.string().nullable(),
  schedule_id: z.string().nullable(),
  created_by: z.string(),
  /** What happened last, for people. */
  detail: z.string(),
  error_code: z.string().nullable(),
  error_message: z.string().nullable(),
  /** When its cancellation was requested; null when it was not. */
  cancel_requested_at: EpochMs.nullable(),
  /** Present only when one task is requested. */
  waiting: Waiting.nullable(),
  workflow_id: z.string(),
  run_id: z.string(),
  history_url: z.string().nullable(),
});
export type Task = z.infer<typeof Task>;

/** `GET /api/runtime/llm-tasks`: newest first. */
export const ListTasks = z.strictObject({
  /** As in the original, an unknown status matches no task. */
  status: z.string().max(64).optional(),
  agent_slug: z.string().max(128).optional(),
  context_id: z.string().max(512).optional(),
  worker_id: z.string().max(128).optional(),
  project_id: z.string().max(64).optional(),
  pool: z.string().max(64).optional(),
  tag: z.string().max(64).optional(),
  /** Searches the prompt, the id, the context and the agent profile. */
  search: z.string().max(200).optional(),
  /** The original had no limit: without it, the answer holds up to 1,000 tasks. */
  limit: z.coerce.number().int().min(1).max(1_000).default(1_000),
  /** Continues where a page ended: its `X-Next-Cursor`. */
  cursor: z.string().max(200).optional(),
});
export type ListTasks = z.infer<typeof ListTasks>;

/** `POST /api/runtime/llm-tasks/:id/cancel`. */
export const CancelTask = z.strictObject({ reason: z.string().max(500).default('') });

/** A task that a Temporal Schedule makes repeatedly. */
export const TaskSchedule = z.strictObject({
  id: z.string(),
  name: z.string(),
  cron: CronExpression,
  paused: z.boolean(),
  task: CreateTask,
  last_task_id: z.string().nullable(),
  next_at: EpochMs.nullable(),
  created_at: EpochMs,
  updated_at: EpochMs,
});
export type TaskSchedule = z.infer<typeof TaskSchedule>;

export const CreateTaskSchedule = z.strictObject({
  name: z.string().min(1).max(128),
  cron: CronExpression,
  paused: z.boolean().default(false),
  task: CreateTask,
});

export const UpdateTaskSchedule = z
  .strictObject({
    name: z.string().min(1).max(128),
    cron: CronExpression,
    paused: z.boolean(),
    task: CreateTask,
  })
  .partial()
  .refine((given) => Object.keys(given).length > 0, 'name at least one setting to change');

/** Ceilings on what tasks may cost together, in US dollars, and retention times. */
export const TaskSettings = z.strictObject({
  /** The ceiling of one context, over all time; null: none. */
  context_budget_usd: z.number().positive().nullable(),
  /** The ceiling of one project in a calendar month (UTC); null: none. */
  project_budget_usd: z.number().positive().nullable(),
  /** How long artifacts are kept, in days; null: forever. */
  artifact_days: z.number().int().min(1).max(36_500).nullable(),
  /** How long the rows of live output are kept after an attempt, in hours; the log artifact stays. */
  output_hours: z.number().int().min(1).max(8_760),
});
export type TaskSettings = z.infer<typeof TaskSettings>;

export const DEFAULT_TASK_SETTINGS: TaskSettings = {
  context_budget_usd: null,
  project_budget_usd: null,
  artifact_days: null,
  output_hours: 24,
};
