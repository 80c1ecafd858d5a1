import type { z } from 'zod';
import { AGENT_LEASE_SECONDS } from '../../contract/tasks/lease-life.ts';
import { badField, MembridgeError } from '../../contract/errors.ts';
import type { CompleteTask, DispatchTask, LeaseTask } from '../../contract/tasks/leases.ts';
import type { Node } from '../../contract/nodes/nodes.ts';
import { readProposal } from '../../contract/projects/proposal-content.ts';
import { PROPOSAL_TYPE } from '../../contract/projects/proposals.ts';
import { NO_USAGE } from '../../contract/tasks/runs.ts';
import type { FinishRequest, LeaseState, NewArtifact } from '../../contract/tasks/task-workflow.ts';
import { isTerminal } from '../../contract/tasks/task-status.ts';
import { getArtifact, listArtifacts } from '../../db/queries/find-artifacts.ts';
import { countSessionMessages, listLeases, listResults } from '../../db/queries/find-leases.ts';
import { readOutput } from '../../db/queries/task-output.ts';
import { findFreeWorker } from '../../db/queries/find-worker.ts';
import { getNode } from '../../db/queries/get-node.ts';
import { findWaiting, type WaitingFor } from '../../db/queries/explain-waiting.ts';
import { getBlob, putBlob } from '../../storage/blobs.ts';
import { llmTaskId } from '../../contract/names.ts';
import { updateTask } from '../../engine/task-workflows.ts';
import type { TaskRow } from '../../db/task-rows.ts';
import type { Deps } from '../deps.ts';
import { requireNode } from '../http/not-found.ts';
import { askTask, fenceOf } from './calls.ts';
import { requireTask, showArtifact, showTaskWhole } from './show.ts';

/**
 * The shortest lease of an agent, in seconds. An agent renews it every few seconds: a shorter one would end at the
 * first late answer.
 */

/** How long a call waits beyond the task's own time limit, in milliseconds, like the original. */
const BEYOND_MS = 30_000;

/** Returns a lease as the API shows it right after it was granted. */
function toLeaseAnswer(row: TaskRow, lease: LeaseState) {
  return {
    id: lease.id,
    task_id: row.id,
    worker_id: lease.worker,
    epoch: lease.epoch,
    kind: lease.kind,
    started_at: lease.startedAt,
    expires_at: lease.expiresAt,
    ttl_seconds: Math.round(lease.ttlMs / 1_000),
    status: 'active' as const,
    last_heartbeat: lease.lastHeartbeat,
    context_id: row.context_id,
    ended_at: null,
    end_reason: null,
  };
}

/**
 * Leases a task to a worker over HTTP; to the best node where none is named.
 * @throws MembridgeError conflict when it is not queued, or waits for a time or another task; no_worker when none is
 * named and no node is free
 */
export async function lease(deps: Deps, id: string, body: z.infer<typeof LeaseTask>) {
  const before = await requireTask(deps, id);
  const waiting = await findWaiting(deps.db, { task: { ...before, dispatched: true }, now: deps.now() });
  refuseTooEarly(waiting);
  const worker =
    body.worker_id ?? before.requested_worker_id ?? (await requireFreeWorker(deps, before, waiting));
  const { answer, row } = await askTask(deps, id, (client) =>
    updateTask(client, id, 'leaseTask', { worker, ttlMs: body.ttl_seconds * 1_000 }),
  );
  const node: Node | null = await getNode(deps.db, { id: worker, now: deps.now() });
  return { lease: toLeaseAnswer(row, answer), worker: node };
}

/** Refuses a task that still waits for a time or for other tasks; workers over HTTP must wait for these too. */
function refuseTooEarly(waiting: WaitingFor | null): void {
  if (waiting?.kind !== 'time' && waiting?.kind !== 'tasks') return;
  throw new MembridgeError('conflict', `The task cannot be leased yet: it ${waiting.reason}.`);
}

async function requireFreeWorker(deps: Deps, row: TaskRow, waiting: WaitingFor | null): Promise<string> {
  if (row.status !== 'queued') {
    throw new MembridgeError('conflict', `The task is ${row.status}. Only a queued task can be leased.`);
  }
  const worker = await findFreeWorker(deps.db, { task: row, now: deps.now() });
  if (worker !== null) return worker;
  throw new MembridgeError(
    'no_worker',
    `No worker is free for ${row.id}: ${waiting?.reason ?? 'none fits'}. Name yours as worker_id, or ask again later.`,
  );
}

/** Renews a worker's lease. The first heartbeat also reports that the work has begun. */
export async function heartbeat(deps: Deps, id: string, body: Parameters<typeof fenceOf>[0]) {
  const { answer, row } = await askTask(deps, id, (client) =>
    updateTask(client, id, 'renewLease', fenceOf(body)),
  );
  return { lease: toLeaseAnswer(row, answer), expires_at: answer.expiresAt };
}

/**
 * Records a worker's result: the task's end, the result and its artifact in one step.
 * @throws MembridgeError conflict when the worker no longer has the lease; then nothing changes
 */
export async function complete(deps: Deps, id: string, body: CompleteTask) {
  const before = await requireTask(deps, id);
  // Stored first. If the lease is lost, the bytes stay without a reference, and retention removes them.
  const finish = await finishOf(deps, before, body);
  const { row } = await askTask(deps, id, (client) => updateTask(client, id, 'finishTask', finish));
  const [result] = await listResults(deps.db, { task: id });
  const { artifacts } = await listArtifacts(deps.db, { task_id: id, limit: 20 });
  const made = artifacts.find((each) => each.id === result?.artifact_id);
  return {
    task: await showTaskWhole(deps, row),
    artifact: made === undefined ? null : showArtifact(deps, made),
    result: result === undefined ? null : { ...result, output: body.output?.slice(0, 65_536) ?? null },
  };
}

async function finishOf(deps: Deps, row: TaskRow, body: CompleteTask): Promise<FinishRequest> {
  const succeeded = body.status === 'success';
  const text = body.output ?? '';
  if (succeeded && row.artifact_type === PROPOSAL_TYPE) {
    const read = readProposal(text);
    if (!read.ok) throw badField('output', read.problem);
  }
  const blob = text === '' ? null : await putBlob(deps.store, Buffer.from(text));
  const isJson = row.desired_format === 'json';
  const artifacts: NewArtifact[] =
    blob === null || !succeeded
      ? []
      : [
          {
            // Only the task itself decides whether its result is a proposal, not the worker.
            type:
              row.artifact_type === PROPOSAL_TYPE ? PROPOSAL_TYPE : (body.artifact_type ?? row.artifact_type),
            name: isJson ? 'result.json' : 'result.txt',
            mediaType: isJson ? 'application/json' : 'text/plain; charset=utf-8',
            ...blob,
            tags: [...new Set([...row.tags, ...body.artifact_tags.filter((each) => each !== '')])],
          },
        ];
  const { duration_ms: durationMs, tokens_used: tokens, cost_usd: cost } = body.metrics;
  const message = body.error_message ?? '';
  return {
    fence: fenceOf(body),
    artifacts,
    report: {
      exitCode: null,
      durationMs,
      usage: { ...NO_USAGE, outputTokens: tokens ?? null, costUsd: cost ?? null },
      output: succeeded ? blob : null,
      log: null,
      error: succeeded
        ? null
        : {
            code: 'worker_error',
            message: message === '' ? 'The worker reported a failure.' : message,
            retryable: body.retryable,
          },
      notes: [],
    },
  };
}

/**
 * Gives a task to agents and, as the original did, waits for its end.
 * @throws MembridgeError no_worker when the caller waits and no node can take the task; conflict
 */
export async function dispatch(
  deps: Deps,
  id: string,
  body: z.infer<typeof DispatchTask> & { by: string; left: AbortSignal },
) {
  const before = await requireTask(deps, id);
  if (body.worker_id !== undefined) await requireNode(deps, body.worker_id);
  if (body.wait) await refuseWithoutNode(deps, { ...before, ...dispatchFields(body) });
  const { row } = await askTask(deps, id, (client) =>
    updateTask(client, id, 'dispatchTask', {
      by: body.by,
      worker: body.worker_id ?? null,
      ttlMs:
        body.ttl_seconds === undefined ? null : Math.max(body.ttl_seconds, AGENT_LEASE_SECONDS.min) * 1_000,
      once: !body.retry,
    }),
  );
  const ended = body.wait ? await waitForEnd(deps, row, body.left) : row;
  const over = isTerminal(ended.status);
  return {
    dispatched: true as const,
    task_id: id,
    status: ended.status,
    worker_id: ended.worker_id,
    lease_id: ended.lease_id,
    execution: over ? await executionOf(deps, ended) : null,
  };
}

const dispatchFields = (body: z.infer<typeof DispatchTask>) => ({
  dispatched: true,
  ...(body.worker_id === undefined ? {} : { requested_worker_id: body.worker_id }),
});

async function refuseWithoutNode(deps: Deps, row: TaskRow): Promise<void> {
  if (row.status !== 'queued') return;
  const waiting = await findWaiting(deps.db, { task: row, now: deps.now() });
  // It is worth waiting for a task in a queue, or for something that will happen.
  if (waiting?.kind !== 'nodes') return;
  throw new MembridgeError(
    'no_worker',
    `${row.id} was not dispatched: ${waiting.reason}. With "wait": false it is dispatched and waits for one.`,
  );
}

/** Waits until a task has ended, for as long as it may take plus half a minute. */
async function waitForEnd(deps: Deps, row: TaskRow, left: AbortSignal): Promise<TaskRow> {
  const late = AbortSignal.timeout(row.policy.timeout_sec * 1_000 + BEYOND_MS);
  const stop = AbortSignal.any([late, left]);
  const { client } = deps.engine;
  await client
    .withAbortSignal(stop, () => client.workflow.getHandle(llmTaskId(row.id)).result())
    .catch(() => undefined);
  return await requireTask(deps, row.id);
}

/** How many lines of a stream are in the answer of a failed task (as in the original), and how many chunks are read. */
const TAIL_LINES = 50;
const MAX_CHUNKS = 2_000;

/** Returns the answer of an original agent to `/execute-task`. */
async function executionOf(deps: Deps, row: TaskRow) {
  const [result] = await listResults(deps.db, { task: row.id });
  const [last] = await listLeases(deps.db, { task: row.id, limit: 1 });
  const ok = row.status === 'completed';
  return {
    ok,
    task_id: row.id,
    output: result === undefined ? null : await readOutputText(deps, result.artifact_id),
    duration_ms: result?.metrics.duration_ms ?? 0,
    returncode: result?.exit_code ?? (ok ? 0 : 1),
    context_id: row.context_id,
    session_messages: await countSessionMessages(deps.db, {
      context: row.context_id,
      worker: last?.worker_id ?? '',
    }),
    worker_id: last?.worker_id ?? null,
    detail: row.detail,
    ...(ok ? {} : { error: row.error_message ?? row.detail, ...(await readFailedOutput(deps, row)) }),
  };
}

/** Returns the last lines of a failed program's output, by stream; null where it wrote nothing. */
async function readFailedOutput(
  deps: Deps,
  row: TaskRow,
): Promise<{ stdout: string | null; stderr: string | null }> {
  const chunks = await readOutput(deps.db, {
    taskId: row.id,
    epoch: row.epoch,
    after: -1,
    limit: MAX_CHUNKS,
  });
  const tail = (stream: 'stdout' | 'stderr'): string | null => {
    const text = chunks.flatMap((chunk) => (chunk.stream === stream ? [chunk.text] : [])).join('');
    return text.trim() === '' ? null : text.trim().split('\n').slice(-TAIL_LINES).join('\n');
  };
  return { stdout: tail('stdout'), stderr: tail('stderr') };
}

/** Returns the first 64 KiB of text in a result's artifact; null when there is none. */
export async function readOutputText(deps: Deps, artifactId: string | null): Promise<string | null> {
  if (artifactId === null) return null;
  const row = await getArtifact(deps.db, { id: artifactId });
  if (row === null || row.expired_at !== null) return null;
  return (await getBlob(deps.store, row)).subarray(0, 65_536).toString();
}
