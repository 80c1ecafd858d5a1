import { spaceKey } from '../../memory/format/layout.ts';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { MembridgeError } from '../../contract/errors.ts';
import type { Space, SpaceConfig } from '../../contract/memory/memory.ts';
import { byEngine, type AuditBy } from '../../db/queries/record-audit.ts';
import { createSpace } from '../../db/queries/create-space.ts';
import { deleteSpace } from '../../db/queries/delete-space.ts';
import { getSpace } from '../../db/queries/get-space.ts';
import { listProjectsOf } from '../../db/queries/list-projects.ts';
import { closeLeadership } from '../../engine/leadership-workflows.ts';
import { closeMemorySpace, ensureMemorySpace } from '../../engine/memory-workflows.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { release } from './leadership.ts';

/** Writes a space's description into the object store, for people and tools that find the objects without this database. */
export async function describeSpace(
  { store }: Pick<Deps, 'store'>,
  space: Omit<Space, 'nodes' | 'settings'>,
): Promise<void> {
  const { canonical_id, name, ...rest } = space;
  const description = { format: 'membridge-space/1', cid: canonical_id, project_id: name, ...rest };
  await store.put(spaceKey(canonical_id), Buffer.from(JSON.stringify(description)));
}

/**
 * Makes a space: first its description in the object store, then its row, then its workflow. In this order a failure
 * leaves nothing that looks like a space.
 * @throws MembridgeError conflict when one of this name exists; store_unavailable, store_refused, engine_unavailable
 */
export async function addSpace(
  deps: Deps,
  input: { name: string; projects: string[]; source: 'manual' | 'heartbeat'; by: AuditBy },
): Promise<Space> {
  const { db, engine } = deps;
  const { name, projects } = input;
  const space: SpaceConfig = { cid: canonicalId(name), projectId: name, projects };
  const known = await getSpace(db, { cid: space.cid });
  if (known !== null) throw nameTakenError(name, known);
  const createdAt = deps.now();
  const defaults = { excluded: [], aliases: [], redact: true, encrypted: false, mirror: false };
  await describeSpace(deps, {
    canonical_id: space.cid,
    name,
    projects,
    ...defaults,
    created_at: createdAt,
  });
  const created = await createSpace(db, { space, source: input.source, createdAt, by: input.by });
  if (created === null) throw nameTakenError(name, null);
  try {
    await callEngine(engine, (client) => ensureMemorySpace(client, space));
  } catch (error) {
    const by = byEngine('its workflow could not be started');
    await deleteSpace(db, { cid: space.cid, now: deps.now(), by });
    throw error;
  }
  return created;
}

/**
 * Makes the space of a project that the original's calls name. There the name is a label for a machine's whole
 * claude-mem database, so the space covers all its projects. A space that people make here (`POST
 * /api/membridge/spaces`, also for a managed git project) covers what they choose.
 * @throws MembridgeError as addSpace
 */
export async function addOriginalSpace(
  deps: Deps,
  input: { name: string; source: 'manual' | 'heartbeat'; by: AuditBy },
): Promise<Space> {
  return await addSpace(deps, { ...input, projects: ['*'] });
}

function nameTakenError(name: string, by: Space | null): MembridgeError {
  return new MembridgeError(
    'conflict',
    by === null || by.name === name
      ? `A project named ${name} exists.`
      : `${name} is an older name of the space ${by.name}. Choose another name, or remove that alias there first.`,
  );
}

/**
 * Removes a space: its row and its workflows end. Its objects in the object store, and each node's memory, stay. A
 * project of the same name keeps the primary.
 */
export async function removeSpace(deps: Deps, cid: string, by: AuditBy): Promise<boolean> {
  // The workflow ends first. A row without a workflow gets one again at the next start; a workflow without a row
  // would stay.
  await callEngine(deps.engine, (client) => closeMemorySpace(client, cid));
  const projects = await listProjectsOf(deps.db, { cid });
  if (!projects.some((project) => project.canonical_id === cid)) {
    await release(deps, cid, 'engine');
    await callEngine(deps.engine, (client) => closeLeadership(client, cid));
  }
  return await deleteSpace(deps.db, { cid, now: deps.now(), by });
}
