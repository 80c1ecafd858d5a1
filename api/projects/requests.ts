import { WorkflowFailedError } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { MembridgeError } from '../../contract/errors.ts';
import { isAllowedHost, parseGitUrl } from '../../contract/projects/git-url.ts';
import type { CloneAction, ManagedProject, ProjectNodeStatus } from '../../contract/projects/projects.ts';
import type { NodeSettled, PropagateResult } from '../../contract/workflows.ts';
import { cloneProjectId } from '../../contract/workflows.ts';
import { toCloneSpec } from '../../db/project-rows.ts';
import { listCloneTargets } from '../../db/queries/list-clone-targets.ts';
import { getProject } from '../../db/queries/list-projects.ts';
import { listOpenClones } from '../../db/queries/record-clone-progress.ts';
import { recordCloneAsked } from '../../db/queries/record-clone.ts';
import type { WorkflowRef } from '../../engine/memory-workflows.ts';
import {
  cancelClone,
  cancelPropagations,
  requestClone,
  requestPropagation,
} from '../../engine/project-workflows.ts';
import type { Deps } from '../deps.ts';
import { callEngine, translateEngineError } from '../engine/engine-calls.ts';
import { requireNode, notFoundError } from '../http/not-found.ts';

/** Returns a managed project by its id. @throws MembridgeError not_found */
export async function requireManagedProject(deps: Deps, id: string): Promise<ManagedProject> {
  const project = await getProject(deps.db, { id });
  if (project === null) throw notFoundError('project', id);
  return project;
}

/**
 * Returns the node that must do something with a project: the named one, or its primary.
 * @throws MembridgeError bad_request when none is named and there is no primary; not_found
 */
export async function requireTargetNode(
  deps: Deps,
  project: ManagedProject,
  nodeId: string | undefined,
): Promise<string> {
  const wanted = nodeId ?? project.primary_node_id;
  if (wanted !== null) return (await requireNode(deps, wanted)).id;
  throw new MembridgeError('bad_request', `${project.name} has no primary node: name one as node_id.`, {
    fields: [{ field: 'node_id', problem: 'is needed, since the project has no primary node' }],
  });
}

/** Refuses a project whose host was removed from the list of allowed hosts after the project was made. */
function refuseForbiddenHost(deps: Deps, project: ManagedProject): void {
  const { host } = parseGitUrl(project.repo_url);
  if (isAllowedHost(host, deps.config.gitHosts)) return;
  throw new MembridgeError(
    'forbidden',
    `${project.name} lies on ${host}, which is not among the hosts of MEMBRIDGE_GIT_HOSTS.`,
  );
}

/**
 * Asks one node to clone a project, or to update its clone. Once this resolves, the request survives a crash.
 * @param nodeId the primary when none is named
 * @throws MembridgeError bad_request when no node is named and there is no primary; not_found; forbidden;
 * engine_unavailable
 */
export async function acceptClone(
  deps: Deps,
  project: ManagedProject,
  nodeId: string | undefined,
): Promise<WorkflowRef & { node: string }> {
  refuseForbiddenHost(deps, project);
  const node = await requireTargetNode(deps, project, nodeId);
  const request = { action: 'clone' as const, spec: toCloneSpec(project, deps.config.gitHosts) };
  const ref = await callEngine(deps.engine, (client) =>
    requestClone(client, { projectId: project.id, node }, request),
  );
  return { ...ref, node };
}

/**
 * Asks one node to make its clone equal to the remote.
 * @param input.commit the commit that the page showed
 * @throws MembridgeError not_found when the node has no part in the project; forbidden; engine_unavailable
 */
export async function acceptReset(
  deps: Deps,
  project: ManagedProject,
  input: { node: string; commit: string },
): Promise<WorkflowRef & { node: string }> {
  refuseForbiddenHost(deps, project);
  const { node, commit } = input;
  if (!project.nodes.some(({ node_id }) => node_id === node))
    throw notFoundError(`clone of ${project.name} on`, node);
  const spec = toCloneSpec(project, deps.config.gitHosts);
  const request = { action: 'reset' as const, spec, expected: commit };
  const ref = await callEngine(deps.engine, (client) =>
    requestClone(client, { projectId: project.id, node }, request),
  );
  return { ...ref, node };
}

/**
 * Waits until a clone's workflow has ended.
 * @returns how it ended, or null when it has not ended within `waitMs` milliseconds
 */
export async function waitForClone(
  deps: Deps,
  projectId: string,
  ref: WorkflowRef & { node: string },
  waitMs: number,
): Promise<ProjectNodeStatus | null> {
  if ((await readResult(deps, ref, waitMs)) === 'not yet') return null;
  const project = await requireManagedProject(deps, projectId);
  const status = project.nodes.find(({ node_id }) => node_id === ref.node);
  if (status === undefined) throw notFoundError(`clone of ${project.name} on`, ref.node);
  return status;
}

/**
 * Asks many nodes to clone or fetch a project.
 * @returns the workflow, or null when there is no node to do it
 */
export async function acceptPropagation(
  deps: Deps,
  project: ManagedProject,
  input: { action: CloneAction; nodes: string[] | null; concurrency: number },
): Promise<WorkflowRef | null> {
  refuseForbiddenHost(deps, project);
  for (const node of input.nodes ?? []) await requireNode(deps, node);
  const targets = await listCloneTargets(deps.db, { ...input, projectId: project.id, liveSince: 0 });
  if (targets.length === 0) return null;
  const request = { ...input, projectId: project.id, name: project.name };
  return await callEngine(deps.engine, (client) => requestPropagation(client, request));
}

/** Waits for a propagation; null when some of its nodes are not done within `waitMs` milliseconds. */
export async function waitForPropagation(
  deps: Deps,
  ref: WorkflowRef,
  waitMs: number,
): Promise<NodeSettled[] | null> {
  const result = await readResult(deps, ref, waitMs);
  return result === 'not yet' ? null : ((result as PropagateResult | null)?.results ?? []);
}

/**
 * Returns a workflow's result; null when it was cancelled or failed, on which PostgreSQL has more details.
 * @throws MembridgeError engine_unavailable when Temporal goes away during the wait: then nobody knows how it ended
 */
async function readResult(deps: Deps, ref: WorkflowRef, waitMs: number): Promise<unknown> {
  const stop = new AbortController();
  const { client, address } = deps.engine;
  const result = client
    .withAbortSignal(stop.signal, () => client.workflow.getHandle(ref.workflowId, ref.runId).result())
    .catch((error: unknown) => {
      if (stop.signal.aborted || error instanceof WorkflowFailedError) return null;
      throw translateEngineError(error, address.address);
    });
  try {
    return await Promise.race([result, sleep(waitMs, 'not yet' as const, { signal: stop.signal })]);
  } finally {
    stop.abort();
  }
}

/** Cancels what one node does with a project, or everything. */
export async function cancelProject(
  deps: Deps,
  project: ManagedProject,
  node: string | undefined,
): Promise<void> {
  const nodes = node === undefined ? project.nodes.map((each) => each.node_id) : [node];
  await callEngine(deps.engine, async (client) => {
    if (node === undefined) await cancelPropagations(client, project.id);
    for (const each of nodes) await cancelClone(client, project.id, each);
  });
}

/** Asks a newly enrolled node to clone a project that wants new nodes. */
export async function joinNode(deps: Deps, input: { projectId: string; node: string }): Promise<void> {
  const project = await requireManagedProject(deps, input.projectId);
  refuseForbiddenHost(deps, project);
  const workflowId = cloneProjectId(input.projectId, input.node);
  // Recorded first, so that the node is not asked twice. If asking fails, the row shows that soon, and the page
  // offers to clone.
  if (!(await recordCloneAsked(deps.db, { ...input, workflowId, now: deps.now() }))) return;
  await acceptClone(deps, project, input.node);
}

/** Cancels everything that one node does with any project, before the node is removed. */
export async function cancelNodeClones(deps: Deps, node: string): Promise<void> {
  const open = (await listOpenClones(deps.db)).filter(({ node_id }) => node_id === node);
  await callEngine(deps.engine, async (client) => {
    for (const { project_id } of open) await cancelClone(client, project_id, node);
  });
}
