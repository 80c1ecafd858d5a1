import { randomBytes } from 'node:crypto';
import { canonicalId } from '../../contract/canonical-id.ts';
import { MembridgeError } from '../../contract/errors.ts';
import { isAllowedHost, parseGitUrl } from '../../contract/git-url.ts';
import { cloneProjectId } from '../../contract/workflows.ts';
import type { CreateManagedProject, ManagedProject, UpdateManagedProject } from '../../contract/projects.ts';
import { createProject } from '../../db/queries/create-project.ts';
import { deleteProject } from '../../db/queries/delete-project.ts';
import { getSpace } from '../../db/queries/get-space.ts';
import { updateProject, type ProjectChange } from '../../db/queries/update-project.ts';
import { cancelPropagations, cancelWorkflow } from '../../engine/project-workflows.ts';
import { setSchedule } from '../../engine/schedules.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine-calls.ts';
import { promote } from '../leadership.ts';
import { needNode, notFound } from '../not-found.ts';
import type { Caller } from '../route.ts';

/**
 * Makes a managed project. Nothing is cloned yet.
 * @throws MembridgeError bad_request naming the field; not_found for a node or space that is not there; conflict when the name
 *   is taken; engine_unavailable when it has a schedule that cannot be made, and then there is no project either
 */
export async function addProject(
  deps: Deps,
  given: CreateManagedProject,
  caller: Caller,
): Promise<ManagedProject> {
  const now = deps.now();
  const id = `proj_${randomBytes(8).toString('hex')}`;
  await check(deps, given);
  const { name, repo_url } = given;
  const created = await createProject(deps.db, {
    ...columnsOf(given, now),
    id,
    name,
    repo_url,
    canonical_id: canonicalId(name),
    created_at: now,
    updated_at: now,
  });
  try {
    await applySchedules(deps, created);
    await lead(deps, created, given.primary_node_id, caller);
  } catch (error) {
    await deleteProject(deps.db, { id, now: deps.now() });
    throw error;
  }
  return created;
}

/**
 * Changes a project. A new name gives it a new canonical id, and leaves the one before as an alias; clones stay where they are.
 * @throws MembridgeError as addProject; when the engine is away the settings are kept, and the same call may be made again
 */
export async function changeProject(
  deps: Deps,
  project: ManagedProject,
  given: UpdateManagedProject,
  caller: Caller,
): Promise<ManagedProject> {
  await check(deps, given);
  const change: ProjectChange = columnsOf(given, deps.now());
  if (given.name !== undefined)
    Object.assign(change, { name: given.name, canonical_id: canonicalId(given.name) });
  if (given.repo_url !== undefined) {
    change.repo_url = given.repo_url;
    // A secret goes to the host that it was given for, and to no other.
    if (parseGitUrl(given.repo_url).host !== parseGitUrl(project.repo_url).host) {
      Object.assign(change, { credential: null, credential_info: null });
    }
  }
  if (given.new_nodes === true && project.new_nodes) delete change.new_nodes_since;
  const changed = await updateProject(deps.db, { id: project.id, change, now: deps.now() });
  if (changed === null) throw notFound('project', project.id);
  await applySchedules(deps, changed);
  await lead(deps, changed, given.primary_node_id, caller);
  return changed;
}

/** How long a primary's lease is that a project was given without saying how long, in seconds: the original's default. */
const LEASE_SECONDS = 3_600;

/** A project's primary node is the primary of its canonical id: one truth, with an epoch. */
async function lead(
  deps: Deps,
  project: ManagedProject,
  node: string | null | undefined,
  caller: Caller,
): Promise<void> {
  if (node == null) return;
  const select = { primary_node_id: node, lease_seconds: LEASE_SECONDS };
  await promote(deps, { cid: project.canonical_id, select, caller });
}

/**
 * Ends everything that a project does, and removes it. The clones on the nodes stay.
 * @throws MembridgeError engine_unavailable, and then the project is still there
 */
export async function removeProject(deps: Deps, project: ManagedProject): Promise<void> {
  await callEngine(deps.engine, async (client) => {
    await cancelPropagations(client, project.id);
    for (const { node_id } of project.nodes)
      await cancelWorkflow(client, cloneProjectId(project.id, node_id));
    for (const kind of ['fetch', 'memory'] as const) await setSchedule(client, { kind, project, cron: null });
  });
  await deleteProject(deps.db, { id: project.id, now: deps.now() });
}

/** Makes the engine's schedules what a project says. @throws MembridgeError bad_request for a cron that means nothing */
export async function applySchedules(deps: Deps, project: ManagedProject): Promise<void> {
  const wanted = { fetch: project.fetch_schedule, memory: project.memory_schedule };
  for (const kind of ['fetch', 'memory'] as const) {
    const cron = wanted[kind]?.cron ?? null;
    try {
      await callEngine(deps.engine, (client) => setSchedule(client, { kind, project, cron }));
    } catch (error) {
      // The SDK's form of what the engine finds wrong with an expression.
      if (!(error instanceof TypeError)) throw error;
      throw badField(`${kind}_schedule`, `"${cron ?? ''}" is no schedule: ${error.message}`);
    }
  }
}

function columnsOf(given: UpdateManagedProject, now: number): ProjectChange {
  const { memory_schedule, fetch_schedule, new_nodes, name: _name, repo_url: _url, ...same } = given;
  return {
    ...same,
    ...(memory_schedule === undefined ? {} : { memory_cron: memory_schedule?.cron ?? null }),
    ...(fetch_schedule === undefined ? {} : { fetch_cron: fetch_schedule?.cron ?? null }),
    ...(new_nodes === undefined ? {} : { new_nodes_since: new_nodes ? now : null }),
  };
}

/** What the schema cannot see: allowed hosts, and whether what is named is there. */
async function check(deps: Deps, given: UpdateManagedProject): Promise<void> {
  if (given.repo_url !== undefined) {
    const { host } = parseGitUrl(given.repo_url);
    const { gitHosts } = deps.config;
    if (!isAllowedHost(host, gitHosts)) {
      throw badField(
        'repo_url',
        `${host} is not among the hosts of MEMBRIDGE_GIT_HOSTS (${gitHosts.join(', ')})`,
      );
    }
  }
  if (given.primary_node_id != null) await needNode(deps, given.primary_node_id);
  if (given.space != null && (await getSpace(deps.db, { cid: given.space })) === null) {
    throw notFound('space', given.space);
  }
}

function badField(field: string, problem: string): MembridgeError {
  return new MembridgeError('bad_request', `The body is not valid. ${field}: ${problem}`, {
    fields: [{ field, problem }],
  });
}
