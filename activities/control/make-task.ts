import { createHash, randomBytes } from 'node:crypto';
import { INLINE_BYTES, type PromptSource } from '../../contract/tasks/runs.ts';
import { PROPOSAL_TYPE } from '../../contract/projects/proposals.ts';
import type { LlmTaskInput, TaskSpec, TaskState } from '../../contract/tasks/task-workflow.ts';
import type { CreateTask, TaskPolicy } from '../../contract/tasks/tasks.ts';
import { badField as badFieldOf, MembridgeError } from '../../contract/errors.ts';
import type { Database } from '../../db/connect.ts';
import { findExistingTasks, getTaskRow } from '../../db/queries/find-tasks.ts';
import { getNode } from '../../db/queries/get-node.ts';
import { getProject } from '../../db/queries/list-projects.ts';
import type { TaskRow } from '../../db/task-rows.ts';
import { putBlob } from '../../storage/blobs.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { explainRefusedWebhook } from './webhook-address.ts';

/** Who creates a task, and how a repeated request is recognized. */
export interface TaskOrigin {
  readonly by: string;
  /** `Idempotency-Key`: requests with the same key create one task. */
  readonly key: string | null;
  readonly scheduleId: string | null;
}

/** Dependencies of creating a task. */
export interface MakeTaskDeps {
  readonly db: Database;
  readonly store: ObjectStore;
  /** The value of MEMBRIDGE_WEBHOOK_HOSTS. */
  readonly webhookHosts: readonly string[];
  /** Returns epoch milliseconds. */
  readonly now: () => number;
  /** Makes the task's workflow accept it (`acceptTask`). */
  readonly accept: (input: LlmTaskInput) => Promise<TaskState | null>;
}

/**
 * Creates a task. Once this resolves, the task is recorded and survives restarts and lost connections.
 * @returns the task's row, and whether an earlier request with the same key had created it
 * @throws MembridgeError bad_request naming the field; conflict when the key was used for another task;
 * errors of `accept`
 */
export async function makeTaskRow(
  deps: MakeTaskDeps,
  body: CreateTask,
  making: TaskOrigin,
): Promise<{ row: TaskRow; repeated: boolean }> {
  const hash = createHash('sha256').update(JSON.stringify(body)).digest('hex');
  const id = making.key === null ? newTaskId() : taskIdForKey(making.key);
  if (making.key !== null) {
    const before = await getTaskRow(deps.db, { id });
    if (before !== null) return { row: requireSameTask(before, hash, making.key), repeated: true };
  }
  await checkReferences(deps, body);
  const accepted = await deps.accept(await workflowInputOf(deps, body, { ...making, id, hash }));
  const row = await getTaskRow(deps.db, { id });
  if (row === null) throw new Error(`task ${id} was accepted and is not recorded`);
  if (making.key !== null) requireSameTask(row, hash, making.key);
  return { row, repeated: accepted === null };
}

const newTaskId = (): string => `task_${randomBytes(8).toString('hex')}`;

/** Returns the id of the task for an `Idempotency-Key`. */
export function taskIdForKey(key: string): string {
  return `task_${createHash('sha256').update(`idempotency-key\n${key}`).digest('hex').slice(0, 16)}`;
}

/**
 * Returns the task that a key created before.
 * @throws MembridgeError conflict when the earlier request had another body
 */
function requireSameTask(row: TaskRow, hash: string, key: string): TaskRow {
  if (row.request_hash === hash) return row;
  throw new MembridgeError(
    'conflict',
    `The Idempotency-Key ${key} was used for ${row.id}, which was asked for with another body. Use a new key for a new task.`,
  );
}

/**
 * Checks what a schema cannot: whether the things that the body names exist.
 * @param among.at position of the body in the request; among.made tasks that will exist when this one is
 * created
 * @throws MembridgeError bad_request naming the field
 */
export async function checkReferences(
  deps: Pick<MakeTaskDeps, 'db' | 'webhookHosts' | 'now'>,
  body: CreateTask,
  among: { at: string; made: ReadonlySet<string> } = { at: '', made: new Set() },
): Promise<void> {
  const { project_id: projectId, worker_id: worker, depends_on: dependsOn } = body;
  const badField = (field: string, problem: string) => badFieldOf(`${among.at}${field}`, problem);
  if (projectId !== undefined && (await getProject(deps.db, { id: projectId })) === null) {
    throw badField('project_id', `there is no project ${projectId}`);
  }
  if (body.artifact_type === PROPOSAL_TYPE && projectId === undefined) {
    throw badField('project_id', `is needed: a ${PROPOSAL_TYPE} is for a project`);
  }
  const refusal =
    body.webhook_url === undefined ? null : explainRefusedWebhook(body.webhook_url, deps.webhookHosts);
  if (refusal !== null) throw badField('webhook_url', refusal);
  if (worker !== undefined && (await getNode(deps.db, { id: worker, now: deps.now() })) === null) {
    throw badField('worker_id', `there is no node ${worker}`);
  }
  const known = new Set(await findExistingTasks(deps.db, { ids: dependsOn }));
  const missing = dependsOn.find((id) => !known.has(id) && !among.made.has(id));
  if (missing !== undefined) throw badField('depends_on', `there is no task ${missing}`);
}

/** Returns the workflow input for a new task. */
async function workflowInputOf(
  deps: MakeTaskDeps,
  body: CreateTask,
  made: TaskOrigin & { id: string; hash: string },
): Promise<LlmTaskInput> {
  const spec = await specOf(deps, {
    ...body,
    id: made.id,
    context_id: body.context_id ?? `ctx_${made.id.slice('task_'.length)}`,
    project_id: body.project_id ?? null,
    fairness_key: body.fairness_key ?? fairnessKey(body.agent_slug, body.project_id ?? null),
    webhook_url: body.webhook_url ?? null,
  });
  return {
    spec,
    state: null,
    createdBy: made.by,
    row: {
      policy: body.policy,
      webhookUrl: body.webhook_url ?? null,
      scheduleId: made.scheduleId,
      requestHash: made.hash,
      createdAt: deps.now(),
    },
    first: {
      dispatched: body.auto_dispatch,
      worker: body.worker_id ?? null,
      notBefore: body.not_before ?? null,
    },
  };
}

/** Returns the immutable part of a task, from its row or from its future row. */
async function specOf(
  deps: Pick<MakeTaskDeps, 'store'>,
  row: Pick<
    TaskRow,
    | 'id'
    | 'context_id'
    | 'agent_slug'
    | 'prompt'
    | 'context_hints'
    | 'policy'
    | 'desired_format'
    | 'max_attempts'
    | 'pool'
    | 'project_id'
    | 'priority'
    | 'fairness_key'
    | 'depends_on'
    | 'lease_ttl_seconds'
    | 'artifact_type'
    | 'tags'
    | 'webhook_url'
  >,
): Promise<TaskSpec> {
  return {
    id: row.id,
    contextId: row.context_id,
    agentSlug: row.agent_slug,
    prompt: await storePrompt(deps, row.prompt),
    hints: row.context_hints.filter((hint) => hint !== ''),
    limits: limitsOf(row.policy),
    format: row.desired_format,
    maxAttempts: row.max_attempts,
    pool: row.pool,
    projectId: row.project_id,
    priority: row.priority,
    fairnessKey: row.fairness_key,
    dependsOn: row.depends_on,
    ttlMs: row.lease_ttl_seconds * 1_000,
    artifactType: row.artifact_type,
    tags: row.tags,
    hasWebhook: row.webhook_url !== null,
  };
}

/**
 * Returns the fairness key: tasks of one priority take turns by agent and project. Temporal accepts at most
 * 64 bytes.
 */
function fairnessKey(agent: string, project: string | null): string {
  const key = project === null ? agent : `${agent}@${project}`;
  return /^[\x21-\x7e]{1,64}$/.test(key) ? key : createHash('sha256').update(key).digest('hex');
}

async function storePrompt({ store }: Pick<MakeTaskDeps, 'store'>, prompt: string): Promise<PromptSource> {
  const bytes = Buffer.from(prompt);
  return bytes.length <= INLINE_BYTES ? { text: prompt } : { blob: await putBlob(store, bytes) };
}

function limitsOf(policy: TaskPolicy): TaskSpec['limits'] {
  return {
    timeoutMs: policy.timeout_sec * 1_000,
    memoryMb: policy.memory_mb,
    outputBytes: policy.output_kb * 1_024,
    budgetUsd: policy.budget === 0 ? null : policy.budget,
    contextTokens: policy.context_tokens,
  };
}

/** Returns the workflow input for a task that is queued again, from its row. */
export async function resumedWorkflowInput(
  deps: Pick<MakeTaskDeps, 'store'>,
  row: TaskRow,
): Promise<LlmTaskInput> {
  return {
    spec: await specOf(deps, row),
    state: {
      status: row.status,
      seq: row.seq,
      epoch: row.epoch,
      attempts: row.attempts,
      maxAttempts: row.max_attempts,
      dispatched: row.dispatched,
      worker: row.requested_worker_id,
      ttlMs: row.lease_ttl_seconds * 1_000,
      notBefore: row.not_before,
      lease: null,
      cancel: null,
      error:
        row.error_code === null
          ? null
          : { code: row.error_code, message: row.error_message ?? '', retryable: false },
      detail: row.detail,
    },
    createdBy: row.created_by,
    row: {
      policy: row.policy,
      webhookUrl: row.webhook_url,
      scheduleId: row.schedule_id,
      requestHash: row.request_hash,
      createdAt: row.created_at,
    },
    first: { dispatched: row.dispatched, worker: row.requested_worker_id, notBefore: row.not_before },
  };
}
