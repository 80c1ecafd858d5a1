import { randomBytes } from 'node:crypto';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { badField, errorMessage } from '../../contract/errors.ts';
import { isAllowedHost, parseGitUrl } from '../../contract/projects/git-url.ts';
import type {
  CreateManagedProject,
  ManagedProject,
  ProjectFacts,
  UpdateManagedProject,
} from '../../contract/projects/projects.ts';
import { createProject } from '../../db/queries/create-project.ts';
import { deleteProject } from '../../db/queries/delete-project.ts';
import { byEngine } from '../../db/queries/record-audit.ts';
import { getSpace } from '../../db/queries/get-space.ts';
import { getProject } from '../../db/queries/list-projects.ts';
import { getLeadership, renameLeadership } from '../../db/queries/record-leadership.ts';
import { updateProject, type ProjectChange } from '../../db/queries/update-project.ts';
import { closeLeadership, ensureLeadership } from '../../engine/leadership-workflows.ts';
import { cancelClone, cancelPropagations } from '../../engine/project-workflows.ts';
import { SCHEDULE_KINDS, setSchedule } from '../../engine/schedules.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { promote, release } from '../spaces/leadership.ts';
import { auditByCaller, actorName } from '../auth/actor.ts';
import { notFoundError } from '../http/not-found.ts';
import type { Caller } from '../http/route.ts';

/**
 * Makes a managed project. Nothing is cloned yet.
 * @throws MembridgeError bad_request naming the field; not_found for an unknown node or space; conflict when the name
 * is taken; engine_unavailable when its schedule cannot be made, and then there is no project either
 */
export async function addProject(
  deps: Deps,
  given: CreateManagedProject,
  caller: Caller,
): Promise<ManagedProject> {
  const now = deps.now();
  const id = `proj_${randomBytes(8).toString('hex')}`;
  await checkGivenReferences(deps, given);
  const { name, repo_url } = given;
  const project = {
    ...columnsOf(given, now),
    id,
    name,
    repo_url,
    canonical_id: canonicalId(name),
    created_at: now,
    updated_at: now,
  };
  const created = await createProject(deps.db, project, auditByCaller(caller));
  try {
    await applySchedules(deps, created);
    return await selectPrimaryNode(deps, created, given.primary_node_id, caller);
  } catch (error) {
    await deleteProject(deps.db, { id, now: deps.now(), by: byEngine('it could not be made whole') });
    await applySchedules(deps, {
      ...created,
      fetch_schedule: null,
      memory_schedule: null,
      update_schedule: null,
    }).catch(() => undefined);
    throw error;
  }
}

/**
 * Changes a project. A new name gives it a new canonical id, and leaves the former one as an alias; clones stay where
 * they are.
 * @throws MembridgeError as addProject; an invalid schedule changes nothing. When Temporal is away the settings may
 * be saved, and the same call may be repeated
 */
export async function changeProject(
  deps: Deps,
  project: ManagedProject,
  given: UpdateManagedProject,
  caller: Caller,
): Promise<ManagedProject> {
  await checkGivenReferences(deps, given);
  const change: ProjectChange = columnsOf(given, deps.now());
  if (given.name !== undefined)
    Object.assign(change, { name: given.name, canonical_id: canonicalId(given.name) });
  if (given.repo_url !== undefined) change.repo_url = given.repo_url;
  if (given.primary_node_id === null) change.primary_node_id = null;
  if (given.new_nodes === true && project.new_nodes) delete change.new_nodes_since;
  // Applied first, because Temporal may refuse them: then nothing is saved.
  const {
    fetch_schedule = project.fetch_schedule,
    memory_schedule = project.memory_schedule,
    update_schedule = project.update_schedule,
  } = given;
  const schedules = {
    fetch_schedule: withoutNextRun(fetch_schedule),
    memory_schedule: withoutNextRun(memory_schedule),
    update_schedule: withoutNextRun(update_schedule),
  };
  await applySchedules(deps, { ...project, ...schedules, name: given.name ?? project.name });
  let changed: ManagedProject | null;
  try {
    changed = await updateProject(deps.db, {
      id: project.id,
      change,
      now: deps.now(),
      by: auditByCaller(caller),
    });
  } catch (error) {
    await applySchedules(deps, project).catch(() => undefined);
    throw error;
  }
  if (changed === null) throw notFoundError('project', project.id);
  if (changed.canonical_id !== project.canonical_id) {
    await takeLeadershipAlong(deps, project, changed, caller);
  }
  await tendLeaderships(deps, changed);
  return await selectPrimaryNode(deps, changed, given.primary_node_id, caller);
}

const withoutNextRun = (schedule: { cron: string } | null): ManagedProject['fetch_schedule'] =>
  schedule === null ? null : { cron: schedule.cron, next_at: null };

/** The default length of a primary's lease, in seconds: the original's. */
const LEASE_SECONDS = 3_600;

/**
 * Sets a project's primary. It is the node that was last selected for the project's canonical id: one source of
 * truth, with a leadership epoch.
 * @param node the new one; null: none; undefined: no change
 */
async function selectPrimaryNode(
  deps: Deps,
  project: ManagedProject,
  node: string | null | undefined,
  caller: Caller,
): Promise<ManagedProject> {
  if (node === undefined) return project;
  const cid = project.canonical_id;
  if (node === null) await release(deps, cid, actorName(caller));
  else {
    const select = { primary_node_id: node, lease_seconds: LEASE_SECONDS };
    await promote(deps, { cid, select, caller });
  }
  return (await getProject(deps.db, { id: project.id })) ?? project;
}

/** Makes a node the primary of a project that has none. */
export async function selectFirstPrimary(
  deps: Deps,
  project: ManagedProject,
  node: string,
  caller: Caller,
): Promise<void> {
  if (project.primary_node_id === null) await selectPrimaryNode(deps, project, node, caller);
}

/**
 * Moves the primary and its leadership epochs to a renamed project's new id, unless a memory space of the old name
 * has them.
 */
async function takeLeadershipAlong(
  deps: Deps,
  before: ManagedProject,
  after: ManagedProject,
  caller: Caller,
): Promise<void> {
  const [from, to] = [before.canonical_id, after.canonical_id];
  if ((await getSpace(deps.db, { cid: from }))?.canonical_id === from) {
    return void (await selectPrimaryNode(deps, after, after.primary_node_id ?? undefined, caller));
  }
  await renameLeadership(deps.db, { from, to });
}

/**
 * Starts the leadership of a project's id, and ends those of its former ids. A repeated call also ends what the first
 * one left.
 */
async function tendLeaderships(deps: Deps, project: ManagedProject): Promise<void> {
  const now = deps.now();
  const led = await getLeadership(deps.db, { cid: project.canonical_id, now });
  const former: string[] = [];
  for (const cid of project.aliases) {
    if ((await getLeadership(deps.db, { cid, now })) === null) former.push(cid);
  }
  if (led === null && former.length === 0) return;
  await callEngine(deps.engine, async (client) => {
    if (led !== null && led.primary_node_id !== null) await ensureLeadership(client, led);
    for (const cid of former) await closeLeadership(client, cid);
  });
}

/**
 * Ends everything that a project does, and removes it. The clones on the nodes stay.
 * @throws MembridgeError engine_unavailable, and then the project still exists
 */
export async function removeProject(deps: Deps, project: ManagedProject, caller: Caller): Promise<void> {
  const { id, canonical_id: cid } = project;
  await callEngine(deps.engine, async (client) => {
    await cancelPropagations(client, id);
    for (const { node_id } of project.nodes) await cancelClone(client, id, node_id);
    for (const kind of SCHEDULE_KINDS) await setSchedule(client, { kind, project, cron: null });
  });
  const isSpace = (await getSpace(deps.db, { cid }))?.canonical_id === cid;
  if (!isSpace) await release(deps, cid, actorName(caller));
  const nodes = await deleteProject(deps.db, { id, now: deps.now(), by: auditByCaller(caller) });
  // The project is gone by now, even if this fails: its workflows then notice that themselves.
  await callEngine(deps.engine, async (client) => {
    if (!isSpace) await closeLeadership(client, cid);
    // Also cancel what was requested during the removal.
    for (const node of nodes ?? []) await cancelClone(client, id, node);
  }).catch((error: unknown) => {
    deps.logger.warn(
      { project: id, reason: errorMessage(error) },
      'leftovers of a deleted project could not be cleaned up',
    );
  });
}

/** Sets Temporal's schedules to a project's settings. @throws MembridgeError bad_request for an invalid cron expression */
export async function applySchedules(deps: Deps, project: ProjectFacts): Promise<void> {
  const wanted = {
    fetch: project.fetch_schedule,
    memory: project.memory_schedule,
    update: project.update_schedule,
  };
  for (const kind of SCHEDULE_KINDS) {
    const cron = wanted[kind]?.cron ?? null;
    try {
      await callEngine(deps.engine, (client) => setSchedule(client, { kind, project, cron }));
    } catch (error) {
      // The SDK throws a TypeError when Temporal refuses an expression.
      if (!(error instanceof TypeError)) throw error;
      throw badField(`${kind}_schedule`, `"${cron ?? ''}" is not a schedule: ${error.message}`);
    }
  }
}

function columnsOf(given: UpdateManagedProject, now: number): ProjectChange {
  const {
    memory_schedule,
    fetch_schedule,
    update_schedule,
    new_nodes,
    name: _name,
    repo_url: _url,
    primary_node_id: _primary,
    ...same
  } = given;
  return {
    ...same,
    ...(memory_schedule === undefined ? {} : { memory_cron: memory_schedule?.cron ?? null }),
    ...(fetch_schedule === undefined ? {} : { fetch_cron: fetch_schedule?.cron ?? null }),
    ...(update_schedule === undefined ? {} : { update_cron: update_schedule?.cron ?? null }),
    ...(new_nodes === undefined ? {} : { new_nodes_since: new_nodes ? now : null }),
  };
}

/** Checks what the schema cannot see: allowed hosts, and whether named nodes and spaces exist. */
async function checkGivenReferences(deps: Deps, given: UpdateManagedProject): Promise<void> {
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
  if (given.space != null && (await getSpace(deps.db, { cid: given.space })) === null) {
    throw notFoundError('space', given.space);
  }
}
