import { randomBytes } from 'node:crypto';
import { and, eq, inArray, sql } from 'drizzle-orm';
import type { PgUpdateSetSource } from 'drizzle-orm/pg-core';
import type { CloneResult, NodeCloneAction } from '../../contract/projects/projects.ts';
import type { Database, Executor } from '../connect.ts';
import { singleLine } from '../single-line.ts';
import { managedProjects, nodes, projectNodeStatus } from '../schema.ts';
import { emitClone } from './emit-project.ts';
import { byEngine, newEventKey, recordAudit } from './record-audit.ts';

/** Maximum number of characters stored of a message from git or an agent. */
export const MAX_MESSAGE_CHARS = 2_000;

/** A clone, and the workflow that works on it. */
export interface CloneRef {
  readonly projectId: string;
  readonly node: string;
  readonly workflowId: string;
  readonly runId: string;
}

const cloneCondition = ({ projectId, node }: CloneRef) =>
  and(eq(projectNodeStatus.project_id, projectId), eq(projectNodeStatus.node_id, node));

/** SQL for a clone whose work has not ended. */
export const isOpen = inArray(projectNodeStatus.clone_status, ['pending', 'cloning']);

/** Returns whether a project and a node both still exist, so that a deleted one is not recreated. */
async function hasProjectAndNode(
  tx: Executor,
  { projectId, node }: Pick<CloneRef, 'projectId' | 'node'>,
): Promise<boolean> {
  const present = await tx
    .select({ id: managedProjects.id })
    .from(managedProjects)
    .innerJoin(nodes, eq(nodes.id, node))
    .where(eq(managedProjects.id, projectId))
    .for('key share');
  return present.length > 0;
}

/**
 * Records that a clone waits for its turn or its node. Inspecting a clone (`fetch`) does not change its
 * state.
 * @param input.detail what it waits for, for people
 * @returns whether the project and the node still exist
 */
export async function recordCloneWaiting(
  db: Database,
  input: CloneRef & { action: NodeCloneAction; detail: string; now: number },
): Promise<boolean> {
  const { projectId, node, workflowId, runId, detail, now } = input;
  return await db.transaction(async (tx) => {
    if (!(await hasProjectAndNode(tx, input))) return false;
    // An update requested by a schedule or a push is shown only if it did something.
    if (input.action === 'fetch' || input.action === 'update') {
      await tx
        .update(projectNodeStatus)
        .set({ workflow_id: workflowId, run_id: runId, updated_at: now })
        .where(cloneCondition(input));
      return true;
    }
    const waiting = {
      clone_status: 'pending' as const,
      detail,
      progress: null,
      error_code: null,
      error_message: null,
      updated_at: now,
      workflow_id: workflowId,
      run_id: runId,
    };
    const [row] = await tx
      .insert(projectNodeStatus)
      .values({ id: newId(), project_id: projectId, node_id: node, ...waiting })
      .onConflictDoUpdate({
        target: [projectNodeStatus.project_id, projectNodeStatus.node_id],
        set: waiting,
      })
      .returning();
    if (row !== undefined) await emitClone(tx, row, now);
    return true;
  });
}

/**
 * Records that a node is about to be asked for its first clone, so that it is not asked twice.
 * @returns false when it already has a part in the project, or one of the two is gone
 */
export async function recordCloneAsked(
  db: Database,
  input: { projectId: string; node: string; workflowId: string; now: number },
): Promise<boolean> {
  const { projectId, node, workflowId, now } = input;
  return await db.transaction(async (tx) => {
    if (!(await hasProjectAndNode(tx, input))) return false;
    const [row] = await tx
      .insert(projectNodeStatus)
      .values({
        id: newId(),
        project_id: projectId,
        node_id: node,
        clone_status: 'pending',
        detail: `waits for node ${node} to take it`,
        updated_at: now,
        workflow_id: workflowId,
        run_id: '',
      })
      .onConflictDoNothing()
      .returning();
    if (row !== undefined) await emitClone(tx, row, now);
    return row !== undefined;
  });
}

/** SQL that keeps the status of an existing clone, and gives this status where there is none. */
const presentOr = (status: 'failed' | 'cancelled') =>
  sql`case when ${projectNodeStatus.repo_path} is null then ${status} else 'cloned' end`;

/** How a clone's work ended. */
export type CloneOutcome =
  | { readonly kind: 'done'; readonly result: CloneResult }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  | { readonly kind: 'cancelled' };

/**
 * Records how the work on a clone ended. Only changes existing rows, so a deleted project or node stays
 * deleted. A failed fetch leaves the clone's state, and records why it is unknown.
 * @param input.onlyIfOpen change nothing when the row shows an end already, or another run works on it
 */
export async function recordCloneFinished(
  db: Database,
  input: CloneRef & { action: NodeCloneAction; outcome: CloneOutcome; now: number; onlyIfOpen?: boolean },
): Promise<void> {
  const { outcome, action, now } = input;
  const ref = { workflow_id: input.workflowId, run_id: input.runId, updated_at: now, progress: null };
  const changed = ((): PgUpdateSetSource<typeof projectNodeStatus> => {
    switch (outcome.kind) {
      case 'done':
        return { ...doneColumns(outcome.result, now), ...(action === 'fetch' ? {} : { last_sync_at: now }) };
      case 'failed':
        return {
          ...(action === 'clone' ? { clone_status: 'failed' as const } : {}),
          // A clone that could not be reset to its remote still exists.
          ...(action === 'reset' ? { clone_status: presentOr('failed') } : {}),
          detail: singleLine(outcome.message, MAX_MESSAGE_CHARS),
          error_code: outcome.code,
          error_message: singleLine(outcome.message, MAX_MESSAGE_CHARS),
        };
      case 'cancelled':
        if (action === 'fetch' || action === 'update') return {};
        // A canceled update leaves the existing clone.
        return {
          clone_status: presentOr('cancelled'),
          detail: 'cancelled',
        };
    }
  })();
  await db.transaction(async (tx) => {
    const [before] = await tx
      .select({ status: projectNodeStatus.clone_status })
      .from(projectNodeStatus)
      .where(cloneCondition(input))
      .for('update');
    const rows = await tx
      .update(projectNodeStatus)
      .set({ ...ref, ...changed })
      .where(
        input.onlyIfOpen === true
          ? and(cloneCondition(input), isOpen, eq(projectNodeStatus.run_id, input.runId))
          : cloneCondition(input),
      )
      .returning();
    if (rows[0] === undefined) return;
    // A repeated record announces it once: the second call finds it ended.
    const wasOpen = before !== undefined && ['pending', 'cloning'].includes(before.status);
    if (action === 'clone' && wasOpen) await auditEnd(tx, input);
    await emitClone(tx, rows[0], now);
  });
}

const ACTION_BY_END = {
  done: 'project_cloned',
  failed: 'project_clone_failed',
  cancelled: 'project_clone_cancelled',
} as const;

async function auditEnd(
  tx: Executor,
  input: CloneRef & { outcome: CloneOutcome; now: number },
): Promise<void> {
  const { projectId, node, workflowId, runId, outcome, now } = input;
  const action = ACTION_BY_END[outcome.kind];
  const said =
    outcome.kind === 'done'
      ? outcome.result.detail
      : outcome.kind === 'failed'
        ? outcome.message
        : 'cancelled';
  await recordAudit(tx, [
    {
      eventKey: newEventKey(action),
      action,
      entity_type: 'managed_project',
      entity_id: projectId,
      ...byEngine(`workflow ${workflowId}`),
      detail: `${node}: ${said}`,
      correlation_id: runId,
      timestamp: now,
    },
  ]);
}

function doneColumns(result: CloneResult, now: number): Partial<typeof projectNodeStatus.$inferInsert> {
  return {
    clone_status: 'cloned',
    detail: singleLine(result.detail, MAX_MESSAGE_CHARS),
    error_code: null,
    error_message: null,
    repo_path: result.path,
    commit: result.commit,
    branch: result.branch,
    size_bytes: result.sizeBytes,
    behind: result.drift.behind,
    ahead: result.drift.ahead,
    dirty: result.drift.dirty,
    checked_at: now,
  };
}

const newId = (): string => `clone_${randomBytes(8).toString('hex')}`;

/**
 * Deletes a node's records of every project; its clones stay on its disk. Returns the projects that it was
 * in.
 */
export async function forgetNodeClones(tx: Executor, node: string): Promise<string[]> {
  const gone = await tx
    .delete(projectNodeStatus)
    .where(eq(projectNodeStatus.node_id, node))
    .returning({ id: projectNodeStatus.project_id });
  const led = await tx
    .update(managedProjects)
    .set({ primary_node_id: null })
    .where(eq(managedProjects.primary_node_id, node))
    .returning({ id: managedProjects.id });
  return [...new Set([...gone, ...led].map((row) => row.id))];
}
