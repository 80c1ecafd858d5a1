import { createHash } from 'node:crypto';
import { and, eq, lte, sql } from 'drizzle-orm';
import type { LlmTaskInput, Recorded, TaskChange, TaskSpec } from '../../contract/tasks/task-workflow.ts';
import type { ProposalContent } from '../../contract/projects/proposal-content.ts';
import { PROPOSAL_TYPE } from '../../contract/projects/proposals.ts';
import { type TaskPolicy } from '../../contract/tasks/tasks.ts';
import { isTerminal } from '../../contract/tasks/task-status.ts';
import type { Database, Executor } from '../connect.ts';
import { singleLine } from '../single-line.ts';
import { leases, llmResults, llmTasks, runtimeArtifacts } from '../schema.ts';
import { toLease, toTask, type LeaseRow } from '../task-rows.ts';
import { emitEvents, lockEvents } from './emit-events.ts';
import { findExpiredBlobs } from './expire-artifacts.ts';
import { findRoute, checkBudget } from './find-route.ts';
import { insertProposal } from './insert-proposal.ts';
import { lockBlobs } from './lock-blobs.ts';
import { recordAudit } from './record-audit.ts';

/** Maximum number of characters stored of an error. */
const MAX_ERROR_CHARS = 2_000;
/** The largest integer in PostgreSQL. */
const MAX_INT4 = 2_147_483_647;

export interface TaskRecordInput {
  readonly spec: TaskSpec;
  /** In order, without a gap to the recorded ones. */
  readonly changes: readonly TaskChange[];
  readonly workflowId: string;
  readonly runId: string;
  /** Data for inserting a new task's row; null when the row exists. */
  readonly row: (LlmTaskInput['row'] & { readonly createdBy: string; readonly prompt: string }) | null;
  /** The proposal of a completed task. */
  readonly proposal?: ProposalContent | undefined;
}

/**
 * The result of a record, and the contents that it refers to whose bytes retention may have removed; the
 * caller must restore them.
 */
export interface TaskRecorded extends Recorded {
  readonly expiredBlobs: readonly string[];
}

/**
 * Records what happened to a task in one transaction: its row, its leases, results with artifacts, audit
 * entries, and the event for browsers. Writing the same changes twice equals writing them once.
 * @returns `route`: for a task that waits for an agent, where it should go; for a claimed task, why it may not
 * run. `dependents`: for a task that has ended, the tasks that wait for it
 */
export async function recordTask(db: Database, input: TaskRecordInput): Promise<TaskRecorded> {
  const { spec, changes } = input;
  const last = changes.at(-1);
  if (last === undefined) return { route: null, dependents: [], expiredBlobs: [] };
  return await db.transaction(async (tx) => {
    const blobs = blobsOf(spec, changes);
    await lockBlobs(tx, blobs, 'shared');
    const expiredBlobs = await findExpiredBlobs(tx, blobs);
    const row = await writeRow(tx, input, last);
    let lease: LeaseRow | null = null;
    if (row !== null) {
      for (const change of changes) lease = (await writeChange(tx, spec, change)) ?? lease;
      await recordAudit(
        tx,
        changes.flatMap(({ state, at, audit }) =>
          audit.map((note, index) => ({
            ...note,
            // Includes the actor: see writeRow.
            eventKey: `${spec.id}:${state.seq}:${index}:${note.action}:${note.actor}`,
            entity_type: 'llm_task' as const,
            entity_id: spec.id,
            correlation_id: spec.id,
            timestamp: at,
          })),
        ),
      );
    }
    const { status, dispatched, worker } = last.state;
    // The lock comes first here, so that if one task ends while a dependent one begins, the later transaction
    // sees the earlier. Other changes need the lock only at the end.
    if (isTerminal(status) || spec.dependsOn.length > 0) await lockEvents(tx);
    const claimed = changes.some(({ state }) => state.lease?.startedAt === last.at);
    const recorded: TaskRecorded = {
      expiredBlobs,
      route:
        status === 'queued' && dispatched
          ? await findRoute(tx, { spec, worker, now: last.at })
          : claimed
            ? await checkBudget(tx, { spec, now: last.at })
            : null,
      dependents: isTerminal(status) ? await findDependents(tx, spec.id) : [],
    };
    if (row !== null) {
      const task = toTask(row, 'short');
      await emitEvents(tx, [{ type: 'task', task, lease: lease === null ? null : toLease(lease) }], last.at);
      if (input.proposal !== undefined) await recordTaskProposal(tx, spec, last, input.proposal);
    }
    return recorded;
  });
}

/**
 * Returns the contents that changes refer to for the first time: artifacts, and the prompt of a queued task.
 */
function blobsOf(spec: TaskSpec, changes: readonly TaskChange[]): string[] {
  const artifacts = changes.flatMap((change) => change.artifacts.map(({ sha256 }) => sha256));
  const isQueued = changes.some(({ state }) => state.status === 'queued');
  return isQueued && 'blob' in spec.prompt ? [...artifacts, spec.prompt.blob.sha256] : artifacts;
}

/**
 * Writes the row after the last change; returns null when a newer one is stored. An equal `seq` overwrites:
 * the earlier row came from a workflow task attempt that Temporal discarded.
 */
async function writeRow(tx: Executor, input: TaskRecordInput, last: TaskChange) {
  const { spec, row } = input;
  const { state, at } = last;
  const columns = {
    status: state.status,
    updated_at: at,
    finished_at: isTerminal(state.status) ? at : null,
    // As in the original, they remain after the task's end, to show who had it.
    ...(state.lease === null
      ? state.status === 'queued'
        ? { lease_id: null, worker_id: null }
        : {}
      : { lease_id: state.lease.id, worker_id: state.lease.worker }),
    attempts: state.attempts,
    max_attempts: state.maxAttempts,
    seq: state.seq,
    epoch: state.epoch,
    dispatched: state.dispatched,
    requested_worker_id: state.worker,
    not_before: state.notBefore,
    lease_ttl_seconds: Math.round(state.ttlMs / 1_000),
    detail: singleLine(state.detail, MAX_ERROR_CHARS),
    error_code: state.error?.code ?? null,
    error_message: state.error === null ? null : singleLine(state.error.message, MAX_ERROR_CHARS),
    cancel_requested_at: state.cancel?.at ?? null,
    workflow_id: input.workflowId,
    run_id: input.runId,
  };
  if (row !== null) {
    const [made] = await tx
      .insert(llmTasks)
      .values({
        id: spec.id,
        context_id: spec.contextId,
        agent_slug: spec.agentSlug,
        prompt: row.prompt,
        context_hints: spec.hints,
        policy: row.policy as TaskPolicy,
        desired_format: spec.format,
        created_at: row.createdAt,
        pool: spec.pool,
        project_id: spec.projectId,
        priority: spec.priority,
        fairness_key: spec.fairnessKey,
        depends_on: spec.dependsOn,
        artifact_type: spec.artifactType,
        tags: spec.tags,
        webhook_url: row.webhookUrl,
        schedule_id: row.scheduleId,
        created_by: row.createdBy,
        request_hash: row.requestHash,
        ...columns,
      })
      .onConflictDoNothing({ target: llmTasks.id })
      .returning();
    if (made !== undefined) return made;
  }
  const [changed] = await tx
    .update(llmTasks)
    .set(columns)
    .where(and(eq(llmTasks.id, spec.id), lte(llmTasks.seq, state.seq)))
    .returning();
  return changed ?? null;
}

/**
 * Writes one transition's effect on leases and results.
 * @returns the changed lease
 */
async function writeChange(tx: Executor, spec: TaskSpec, change: TaskChange): Promise<LeaseRow | null> {
  const { state, ended, report, at } = change;
  let changed: LeaseRow | null = null;
  if (ended !== null) {
    const [row] = await tx
      .update(leases)
      .set({ status: ended.status, ended_at: at, end_reason: singleLine(ended.reason, MAX_ERROR_CHARS) })
      .where(eq(leases.id, ended.lease.id))
      .returning();
    changed = row ?? null;
  }
  if (state.lease !== null) {
    const { id, worker, epoch, kind, startedAt, expiresAt, lastHeartbeat, ttlMs } = state.lease;
    const [row] = await tx
      .insert(leases)
      .values({
        id,
        task_id: spec.id,
        worker_id: worker,
        epoch,
        kind,
        started_at: startedAt,
        expires_at: expiresAt,
        ttl_seconds: Math.round(ttlMs / 1_000),
        status: 'active',
        last_heartbeat: lastHeartbeat,
        context_id: spec.contextId,
      })
      .onConflictDoUpdate({
        target: leases.id,
        // Also overwrite the worker: a replayed workflow generates the same lease id, even if another worker
        // now gets the lease.
        set: {
          worker_id: worker,
          epoch,
          kind,
          started_at: startedAt,
          expires_at: expiresAt,
          ttl_seconds: Math.round(ttlMs / 1_000),
          last_heartbeat: lastHeartbeat,
          status: 'active',
        },
      })
      .returning();
    changed = row ?? changed;
  }
  if (ended !== null && report !== null) await writeResult(tx, spec, change, ended.lease.id);
  return changed;
}

/**
 * Writes an attempt's result and artifacts. Their ids are derived from the lease, so that an attempt creates
 * them once.
 */
async function writeResult(tx: Executor, spec: TaskSpec, change: TaskChange, leaseId: string): Promise<void> {
  const { report, artifacts, at } = change;
  if (report === null) return;
  const made = artifacts.map((artifact) => ({
    id: idFrom('art', leaseId, artifact.type, artifact.name),
    task_id: spec.id,
    job_id: leaseId,
    type: artifact.type,
    name: artifact.name,
    media_type: artifact.mediaType,
    sha256: artifact.sha256,
    bytes: artifact.bytes,
    finalized: true,
    entity_refs: [],
    tags: [...artifact.tags],
    created_at: at,
  }));
  if (made.length > 0) await tx.insert(runtimeArtifacts).values(made).onConflictDoNothing();
  const { usage, error } = report;
  const main = made.find(({ type }) => type !== 'LOG');
  await tx
    .insert(llmResults)
    .values({
      id: idFrom('res', leaseId),
      task_id: spec.id,
      lease_id: leaseId,
      worker_id: report.worker,
      artifact_id: main?.id ?? null,
      status: error === null ? 'success' : 'error',
      error_code: error?.code ?? null,
      error_message: error === null ? null : singleLine(error.message, MAX_ERROR_CHARS),
      exit_code: report.exitCode,
      duration_ms: report.durationMs,
      usage: { ...usage, model: usage.model === null ? null : singleLine(usage.model, MAX_ERROR_CHARS) },
      cost_usd: usage.costUsd ?? 0,
      tokens: Math.min((usage.inputTokens ?? 0) + (usage.outputTokens ?? 0), MAX_INT4),
      context_id: spec.contextId,
      project_id: spec.projectId,
      // A program's output must never prevent the record.
      notes: report.notes.map((note) => singleLine(note, MAX_ERROR_CHARS)),
      completed_at: at,
    })
    .onConflictDoNothing();
}

function idFrom(kind: string, ...parts: readonly string[]): string {
  return `${kind}_${createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16)}`;
}

/** Records the proposal of a completed task as waiting for a person. */
async function recordTaskProposal(
  tx: Executor,
  spec: TaskSpec,
  last: TaskChange,
  content: ProposalContent,
): Promise<void> {
  const { ended, artifacts, report, at } = last;
  const artifact = artifacts.find(({ type }) => type === PROPOSAL_TYPE);
  if (ended === null || artifact === undefined || spec.projectId === null) return;
  const { id: leaseId } = ended.lease;
  await insertProposal(tx, {
    id: idFrom('prop', leaseId),
    taskId: spec.id,
    artifactId: idFrom('art', leaseId, artifact.type, artifact.name),
    projectId: spec.projectId,
    workerId: report?.worker ?? ended.lease.worker,
    agentSlug: spec.agentSlug,
    title:
      content.title ??
      `${content.kind === 'patch' ? 'Patch' : (content.path ?? 'File')} by ${spec.agentSlug}`,
    kind: content.kind,
    path: content.path,
    expectedVersion: content.expectedVersion,
    now: at,
  });
}

/** Returns tasks that wait for this one and have not ended. */
export async function findDependents(tx: Executor, id: string): Promise<string[]> {
  const rows = await tx
    .select({ id: llmTasks.id })
    .from(llmTasks)
    .where(and(eq(llmTasks.status, 'queued'), sql`${llmTasks.depends_on} @> ${JSON.stringify([id])}::jsonb`));
  return rows.map((row) => row.id);
}
