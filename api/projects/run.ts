import type { Response } from 'express';
import type { z } from 'zod';
import { ERRORS, type ErrorCode } from '../../contract/errors.ts';
import type {
  CloneAction,
  CloneProject,
  CloneProjectResponse,
  ManagedProject,
  ProjectNodeStatus,
  PropagateProject,
  PropagateProjectResponse,
  ResetClone,
} from '../../contract/projects/projects.ts';
import type { Deps } from '../deps.ts';
import type { Caller } from '../http/route.ts';
import { ProblemError } from '../http/problems.ts';
import {
  acceptClone,
  acceptReset,
  acceptPropagation,
  requireManagedProject,
  waitForClone,
  waitForPropagation,
} from './requests.ts';
import { selectFirstPrimary } from './change.ts';
import { showClone } from './show.ts';

/** The status of an answer which says that the work continues. */
const ACCEPTED_STATUS = 202;

/**
 * Clones on one node, and waits for the end as the original did.
 * @throws ProblemError with the code of what went wrong on the node; clone_timeout when the work has not ended in
 * time
 */
export async function clone(
  deps: Deps,
  project: ManagedProject,
  body: z.infer<typeof CloneProject> & { caller: Caller },
  res: Response,
): Promise<z.input<typeof CloneProjectResponse>> {
  const ref = await acceptClone(deps, project, body.node_id);
  await selectFirstPrimary(deps, project, ref.node, body.caller);
  return await answer(deps, { project, ref, wait: body.wait }, res);
}

/**
 * Makes one node's clone equal to its remote, and waits for the end.
 * @throws ProblemError with the code of what went wrong on the node; clone_timeout when the work has not ended in
 * time
 */
export async function reset(
  deps: Deps,
  project: ManagedProject,
  body: z.infer<typeof ResetClone>,
  res: Response,
): Promise<z.input<typeof CloneProjectResponse>> {
  const ref = await acceptReset(deps, project, { node: body.node_id, commit: body.commit });
  return await answer(deps, { project, ref, wait: body.wait, isReset: true }, res);
}

/** Answers immediately, or when the work on a clone has ended. */
async function answer(
  deps: Deps,
  of: {
    project: ManagedProject;
    ref: Awaited<ReturnType<typeof acceptClone>>;
    wait: boolean;
    /** Whether the work is a reset. A failed reset leaves the clone, and so its status, as it was. */
    isReset?: boolean;
  },
  res: Response,
): Promise<z.input<typeof CloneProjectResponse>> {
  const { project, ref, wait, isReset = false } = of;
  const { node, workflowId } = ref;
  const hadClone = project.nodes.some((each) => each.node_id === node && each.commit !== null);
  const action = hadClone ? 'pull' : 'clone';
  // A caller that does not wait learns only that the request was accepted. The project shows the result, however soon
  // it arrives.
  const status = wait ? await waitForClone(deps, project.id, ref, deps.syncWaitMs) : null;
  if (status === null && wait) {
    throw new ProblemError(
      'clone_timeout',
      `The clone of ${project.name} on ${node} has not ended after ${deps.syncWaitMs / 1_000} s. It continues; look at GET /api/runtime/projects/${project.id}.`,
      { workflow_id: workflowId, node },
    );
  }
  if (status === null) {
    res.status(ACCEPTED_STATUS);
    const now = (await requireManagedProject(deps, project.id)).nodes.find((each) => each.node_id === node);
    const result = now === undefined ? null : answerOf(deps, project, now, action);
    return { status: 'cloning', node, workflow_id: workflowId, result };
  }
  if (status.clone_status === 'pending' || status.clone_status === 'cloning') {
    throw new ProblemError(
      'clone_timeout',
      `The clone of ${project.name} on ${node} continues: ${status.detail}.`,
      { workflow_id: workflowId, node },
    );
  }
  if (status.clone_status !== 'cloned' || (isReset && status.error_code !== null)) {
    const code = status.error_code ?? 'clone_failed';
    throw new ProblemError(
      code in ERRORS ? (code as ErrorCode) : 'clone_failed',
      `The clone of ${project.name} on ${node} ${status.clone_status === 'cancelled' ? 'was cancelled' : `failed: ${status.error_message ?? status.detail}`}`,
      { workflow_id: workflowId, node },
    );
  }
  return { status: 'cloned', node, workflow_id: workflowId, result: answerOf(deps, project, status, action) };
}

type CloneAnswer = z.input<typeof CloneProjectResponse>['result'];

/** Returns a clone's state with the fields of the original's agent, which the original's control plane passed on. */
function answerOf(
  deps: Deps,
  project: ManagedProject,
  status: ProjectNodeStatus,
  action: 'clone' | 'pull',
): CloneAnswer {
  const { repo_path: path, detail, error_message: error } = status;
  const ok = status.clone_status === 'cloned';
  const original = { ok, action, path, project_name: project.name, stdout: detail, stderr: error ?? '' };
  return { ...showClone(deps, status), ...original };
}

/**
 * Asks many nodes to do something with a project, and waits for the end, like the original. Failures are reported,
 * not thrown.
 */
export async function propagate(
  deps: Deps,
  project: ManagedProject,
  body: z.infer<typeof PropagateProject> & { action: CloneAction },
  res: Response,
): Promise<z.input<typeof PropagateProjectResponse>> {
  const { action, concurrency } = body;
  const ref = await acceptPropagation(deps, project, { action, concurrency, nodes: body.nodes ?? null });
  if (ref === null) return { status: 'nothing_to_propagate', workflow_id: null, results: [] };
  const { workflowId } = ref;
  if (!body.wait) {
    res.status(ACCEPTED_STATUS);
    return { status: 'propagating', workflow_id: workflowId, results: [] };
  }
  const ended = await waitForPropagation(deps, ref, deps.syncWaitMs);
  const { nodes, propagation } = await requireManagedProject(deps, project.id);
  if (ended === null) {
    res.status(ACCEPTED_STATUS);
    const waiting = action === 'clone' && propagation?.state === 'waiting';
    const results = nodes.map((each) => resultOf(each.node_id, each.clone_status, each.error_message));
    return { status: waiting ? 'waiting' : 'propagating', workflow_id: workflowId, results };
  }
  const results = ended.map((each) => resultOf(each.node, each.status, each.error));
  const status = results.every((each) => each.status === 'cloned')
    ? 'synced'
    : results.some((each) => each.status === 'cancelled')
      ? 'cancelled'
      : 'partial';
  return { status, workflow_id: workflowId, results };
}

type Result = z.input<typeof PropagateProjectResponse>['results'][number];

function resultOf(node: string, status: Result['status'], error: string | null): Result {
  return { node_id: node, status, ...(error === null ? {} : { error }) };
}
