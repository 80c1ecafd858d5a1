/** The tables of tasks; db/schema.ts has those of nodes, memory and projects. */
import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  boolean,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
} from 'drizzle-orm/pg-core';
import type { AuditEntity } from '../contract/audit.ts';
import type { ProposedFile } from '../contract/projects/proposals.ts';
import type { Usage } from '../contract/tasks/runs.ts';
import type { CreateTask, TaskPolicy, TaskStatus } from '../contract/tasks/tasks.ts';
import type { LeaseStatus } from '../contract/tasks/leases.ts';

const epochMs = (name: string) => bigint(name, { mode: 'number' });

/** LLM tasks. `seq` counts the transitions of a task: its workflow writes each of them once, in order. */
export const llmTasks = pgTable(
  'llm_tasks',
  {
    id: text('id').primaryKey(),
    context_id: text('context_id').notNull(),
    agent_slug: text('agent_slug').notNull(),
    prompt: text('prompt').notNull(),
    context_hints: jsonb('context_hints').$type<string[]>().notNull(),
    policy: jsonb('policy').$type<TaskPolicy>().notNull(),
    desired_format: text('desired_format').$type<'json' | 'text'>().notNull(),
    status: text('status').$type<TaskStatus>().notNull(),
    created_at: epochMs('created_at').notNull(),
    updated_at: epochMs('updated_at').notNull(),
    finished_at: epochMs('finished_at'),
    lease_id: text('lease_id'),
    worker_id: text('worker_id'),
    attempts: integer('attempts').notNull(),
    max_attempts: integer('max_attempts').notNull(),
    seq: integer('seq').notNull(),
    epoch: integer('epoch').notNull(),
    dispatched: boolean('dispatched').notNull(),
    pool: text('pool').notNull(),
    requested_worker_id: text('requested_worker_id'),
    project_id: text('project_id'),
    priority: integer('priority').notNull(),
    fairness_key: text('fairness_key').notNull(),
    not_before: epochMs('not_before'),
    depends_on: jsonb('depends_on').$type<string[]>().notNull(),
    lease_ttl_seconds: integer('lease_ttl_seconds').notNull(),
    artifact_type: text('artifact_type').notNull(),
    tags: jsonb('tags').$type<string[]>().notNull(),
    webhook_url: text('webhook_url'),
    schedule_id: text('schedule_id'),
    created_by: text('created_by').notNull(),
    /** Hash of the request, to distinguish a repeated request from another one with the same key. */
    request_hash: text('request_hash').notNull(),
    detail: text('detail').notNull(),
    error_code: text('error_code'),
    error_message: text('error_message'),
    cancel_requested_at: epochMs('cancel_requested_at'),
    workflow_id: text('workflow_id').notNull(),
    run_id: text('run_id').notNull(),
  },
  (table) => [
    index('llm_tasks_created_at').on(table.created_at.desc().nullsFirst(), table.id.desc().nullsFirst()),
    index('llm_tasks_status').on(
      table.status,
      table.created_at.desc().nullsFirst(),
      table.id.desc().nullsFirst(),
    ),
    index('llm_tasks_of_context').on(
      table.context_id,
      table.created_at.desc().nullsFirst(),
      table.id.desc().nullsFirst(),
    ),
    index('llm_tasks_waiting').on(table.status, table.pool, table.priority, table.created_at, table.id),
    index('llm_tasks_of_project').on(
      table.project_id,
      table.created_at.desc().nullsFirst(),
      table.id.desc().nullsFirst(),
    ),
    index('llm_tasks_finished_at').on(table.finished_at),
    index('llm_tasks_tags').using('gin', sql`${table.tags} jsonb_path_ops`),
    index('llm_tasks_depends_on').using('gin', table.depends_on),
  ],
);

/**
 * The words that tasks are searched by, written once by a trigger on `llm_tasks`. A separate table, because a
 * task's row changes often, and every change would write its trigrams again. If PostgreSQL has `pg_trgm`, the
 * migration creates the index `task_texts_trigrams`; without it a search reads every row.
 */
export const taskTexts = pgTable('task_texts', {
  task_id: text('task_id')
    .primaryKey()
    .references(() => llmTasks.id, { onDelete: 'cascade' }),
  text: text('text').notNull(),
});

/** One row per attempt: who had a task, and how that ended. */
export const leases = pgTable(
  'leases',
  {
    id: text('id').primaryKey(),
    task_id: text('task_id').notNull(),
    worker_id: text('worker_id').notNull(),
    epoch: integer('epoch').notNull(),
    kind: text('kind').$type<'agent' | 'http'>().notNull(),
    started_at: epochMs('started_at').notNull(),
    expires_at: epochMs('expires_at').notNull(),
    ttl_seconds: integer('ttl_seconds').notNull(),
    status: text('status').$type<LeaseStatus>().notNull(),
    last_heartbeat: epochMs('last_heartbeat').notNull(),
    context_id: text('context_id').notNull(),
    ended_at: epochMs('ended_at'),
    end_reason: text('end_reason'),
  },
  (table) => [
    index('leases_task').on(table.task_id, table.epoch),
    index('leases_status').on(table.status, table.started_at.desc().nullsFirst()),
    index('leases_started').on(table.started_at.desc().nullsFirst(), table.id.desc().nullsFirst()),
    index('leases_worker').on(table.worker_id, table.status),
    index('leases_context').on(table.context_id, table.started_at.desc().nullsFirst()),
  ],
);

/** Outcomes of attempts. At most one per task has the status `success`. */
export const llmResults = pgTable(
  'llm_results',
  {
    id: text('id').primaryKey(),
    task_id: text('task_id').notNull(),
    lease_id: text('lease_id').notNull().unique(),
    worker_id: text('worker_id').notNull(),
    artifact_id: text('artifact_id'),
    status: text('status').$type<'success' | 'error'>().notNull(),
    error_code: text('error_code'),
    error_message: text('error_message'),
    exit_code: integer('exit_code'),
    duration_ms: doublePrecision('duration_ms').notNull(),
    usage: jsonb('usage').$type<Usage>().notNull(),
    cost_usd: doublePrecision('cost_usd').notNull().default(0),
    tokens: integer('tokens').notNull().default(0),
    context_id: text('context_id').notNull(),
    project_id: text('project_id'),
    notes: jsonb('notes').$type<string[]>().notNull(),
    completed_at: epochMs('completed_at').notNull(),
  },
  (table) => [
    index('llm_results_task').on(table.task_id),
    index('llm_results_context').on(table.context_id, table.completed_at.desc().nullsFirst()),
    index('llm_results_project').on(table.project_id, table.completed_at.desc().nullsFirst()),
    index('llm_results_completed').on(table.completed_at.desc().nullsFirst()),
  ],
);

/** Artifacts of tasks: immutable; their bytes are in the object store under their SHA-256. */
export const runtimeArtifacts = pgTable(
  'runtime_artifacts',
  {
    id: text('id').primaryKey(),
    task_id: text('task_id').notNull(),
    job_id: text('job_id').notNull(),
    type: text('type').notNull(),
    name: text('name').notNull(),
    media_type: text('media_type').notNull(),
    sha256: text('sha256').notNull(),
    bytes: bigint('bytes', { mode: 'number' }).notNull(),
    finalized: boolean('finalized').notNull(),
    entity_refs: jsonb('entity_refs').$type<string[]>().notNull(),
    tags: jsonb('tags').$type<string[]>().notNull(),
    created_at: epochMs('created_at').notNull(),
    /** When retention expired it: its bytes are no longer served; the row stays. */
    expired_at: epochMs('expired_at'),
    /** When its bytes were removed from the store, after nothing else needed them. */
    bytes_removed_at: epochMs('bytes_removed_at'),
  },
  (table) => [
    index('runtime_artifacts_task').on(table.task_id),
    index('runtime_artifacts_created').on(table.created_at.desc().nullsFirst(), table.id.desc().nullsFirst()),
    index('runtime_artifacts_sha256').on(table.sha256),
    index('runtime_artifacts_to_remove')
      .on(table.sha256)
      .where(sql`expired_at is not null and bytes_removed_at is null`),
  ],
);

/**
 * Output of running programs, for the page; deleted some time after the attempt, when its log artifact holds
 * it.
 */
export const taskOutput = pgTable(
  'task_output',
  {
    task_id: text('task_id').notNull(),
    epoch: integer('epoch').notNull(),
    seq: integer('seq').notNull(),
    stream: text('stream').$type<'stdout' | 'stderr'>().notNull(),
    at: epochMs('at').notNull(),
    text: text('text').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.task_id, table.epoch, table.seq] }),
    index('task_output_at').on(table.at),
  ],
);

/** The audit log. A trigger refuses to change or delete rows; see the migration. */
export const auditLogs = pgTable(
  'audit_logs',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    /** Identifies the event, so that an activity that runs twice writes it once. */
    event_key: text('event_key').notNull().unique(),
    timestamp: epochMs('timestamp').notNull(),
    action: text('action').notNull(),
    entity_type: text('entity_type').$type<AuditEntity>().notNull(),
    entity_id: text('entity_id').notNull(),
    actor: text('actor').notNull(),
    detail: text('detail').notNull(),
    cause: text('cause').notNull(),
    correlation_id: text('correlation_id').notNull(),
  },
  (table) => [
    index('audit_logs_entity').on(table.entity_type, table.entity_id, table.id),
    index('audit_logs_correlation').on(table.correlation_id, table.id),
    index('audit_logs_action').on(table.action, table.id),
    index('audit_logs_actor').on(table.actor, table.id),
  ],
);

/**
 * The position of each audit entry in its chain, and the chain's hash there. A trigger refuses to change or
 * delete rows, as in the log itself. See api/audit/chain.ts.
 */
export const auditChain = pgTable('audit_chain', {
  position: bigint('position', { mode: 'number' }).primaryKey(),
  audit_id: bigint('audit_id', { mode: 'number' })
    .notNull()
    .unique()
    .references(() => auditLogs.id),
  /** SHA-256 in hex, over the previous hash and the entry. */
  hash: text('hash').notNull(),
  /** Ed25519 in base64, over position and hash: at the last entry of each batch, null at the others. */
  signature: text('signature'),
});

/** Results that a person decides on before anything is written to a project. */
export const proposals = pgTable(
  'proposals',
  {
    id: text('id').primaryKey(),
    task_id: text('task_id').notNull(),
    artifact_id: text('artifact_id').notNull(),
    project_id: text('project_id').notNull(),
    worker_id: text('worker_id').notNull(),
    agent_slug: text('agent_slug').notNull(),
    title: text('title').notNull(),
    kind: text('kind').$type<'patch' | 'file'>().notNull(),
    /** For a file: its path in the repository. */
    path: text('path'),
    /** The commit that the branch must be at for it to be applied. */
    expected_version: text('expected_version'),
    status: text('status')
      .$type<'pending' | 'approved' | 'applying' | 'applied' | 'failed' | 'rejected' | 'expired'>()
      .notNull(),
    detail: text('detail').notNull().default(''),
    error_code: text('error_code'),
    decided_by: text('decided_by'),
    decided_at: epochMs('decided_at'),
    commit: text('commit'),
    /** The tree that a person approved after looking at it, and the commit that it was based on. */
    approved_tree: text('approved_tree'),
    approved_base: text('approved_base'),
    node_id: text('node_id'),
    created_at: epochMs('created_at').notNull(),
    updated_at: epochMs('updated_at').notNull(),
    expires_at: epochMs('expires_at').notNull(),
    workflow_id: text('workflow_id').notNull(),
    run_id: text('run_id').notNull(),
  },
  (table) => [
    index('proposals_status').on(table.status, table.created_at.desc().nullsFirst()),
    index('proposals_created').on(table.created_at.desc().nullsFirst(), table.id.desc().nullsFirst()),
    index('proposals_project').on(table.project_id, table.created_at.desc().nullsFirst()),
  ],
);

/** A node's preview of a proposal: a tree, and git's own diff of it. A new preview replaces it. */
export const proposalPreviews = pgTable('proposal_previews', {
  proposal_id: text('proposal_id')
    .primaryKey()
    .references(() => proposals.id, { onDelete: 'cascade' }),
  error_code: text('error_code'),
  detail: text('detail').notNull().default(''),
  branch: text('branch'),
  base: text('base'),
  tree: text('tree'),
  files: jsonb('files').$type<ProposedFile[]>().notNull(),
  /** Compressed by gzip, in base64: a diff may contain bytes that PostgreSQL's text does not allow. */
  packed_diff: text('packed_diff'),
  node_id: text('node_id'),
  made_at: epochMs('made_at').notNull(),
});

/** Tasks that Temporal Schedules create periodically. */
export const taskSchedules = pgTable('task_schedules', {
  id: text('id').primaryKey(),
  name: text('name').notNull().unique(),
  cron: text('cron').notNull(),
  paused: boolean('paused').notNull(),
  task: jsonb('task').$type<CreateTask>().notNull(),
  last_task_id: text('last_task_id'),
  created_at: epochMs('created_at').notNull(),
  updated_at: epochMs('updated_at').notNull(),
});
