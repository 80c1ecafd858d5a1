import type { InferSelectModel } from 'drizzle-orm';
import type { Artifact } from '../contract/tasks/artifacts.ts';
import type { Lease, TaskResult } from '../contract/tasks/leases.ts';
import type { Task } from '../contract/tasks/tasks.ts';
import type { leases, llmResults, llmTasks, runtimeArtifacts } from './schema.ts';

export type TaskRow = InferSelectModel<typeof llmTasks>;
export type LeaseRow = InferSelectModel<typeof leases>;
export type ResultRow = InferSelectModel<typeof llmResults>;
export type ArtifactRow = InferSelectModel<typeof runtimeArtifacts>;

/** Number of characters of a prompt in lists and events. */
const SHORT_PROMPT_CHARS = 200;

/**
 * Returns a task as the API shows it; the API fills in `history_url` and `waiting`. A cut through a surrogate
 * pair is repaired, because events are jsonb, which rejects half a pair.
 */
export function toTask(row: TaskRow, prompt: 'whole' | 'short'): Task {
  const { seq: _seq, request_hash: _hash, ...shown } = row;
  return {
    ...shown,
    prompt: prompt === 'whole' ? row.prompt : row.prompt.slice(0, SHORT_PROMPT_CHARS).toWellFormed(),
    waiting: null,
    history_url: null,
  };
}

export function toLease(row: LeaseRow): Lease {
  return row;
}

/** Returns the outcome of an attempt without its output, which is in the object store. */
export function toResult(row: ResultRow): TaskResult {
  return {
    id: row.id,
    task_id: row.task_id,
    lease_id: row.lease_id,
    worker_id: row.worker_id,
    artifact_id: row.artifact_id,
    status: row.status,
    output: null,
    error_code: row.error_code,
    error_message: row.error_message,
    exit_code: row.exit_code,
    metrics: {
      duration_ms: row.duration_ms,
      tokens_used: row.tokens,
      cost_usd: row.cost_usd,
      usage: row.usage,
    },
    notes: row.notes,
    completed_at: row.completed_at,
  };
}

/**
 * Returns an artifact without its content.
 * @param url returns the address of the bytes
 */
export function toArtifact(row: ArtifactRow, url: (sha256: string) => string): Artifact {
  const { expired_at, bytes_removed_at: _removed, ...shown } = row;
  return { ...shown, url: expired_at === null ? url(row.sha256) : null, content: null };
}
