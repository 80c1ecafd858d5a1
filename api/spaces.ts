import { spaceKey } from '../memory/layout.ts';
import { canonicalId } from '../contract/canonical-id.ts';
import { MembridgeError } from '../contract/errors.ts';
import type { Space, SpaceConfig } from '../contract/memory.ts';
import { createSpace } from '../db/queries/create-space.ts';
import { deleteSpace } from '../db/queries/delete-space.ts';
import { getSpaceByName } from '../db/queries/get-space.ts';
import { closeMemorySpace, ensureMemorySpace } from '../engine/memory-workflows.ts';
import type { Deps } from './deps.ts';
import { callEngine } from './engine-calls.ts';

/** A space as workflows take it, from how the API shows it. */
export function spaceConfig(space: Space): SpaceConfig {
  return { cid: space.canonical_id, projectId: space.name, projects: space.projects };
}

/**
 * Makes a space: its description in the object store, its row, its workflow, in this order, so that whatever fails
 * leaves nothing that others take for a space.
 * @throws MembridgeError conflict when one of this name exists; store_unavailable, store_refused, engine_unavailable
 */
export async function addSpace(
  deps: Deps,
  input: { name: string; projects: string[]; source: 'manual' | 'heartbeat' },
): Promise<Space> {
  const { db, store, engine } = deps;
  const { name, projects } = input;
  const space: SpaceConfig = { cid: canonicalId(name), projectId: name, projects };
  const exists = new MembridgeError('conflict', `A project named ${name} exists.`);
  if ((await getSpaceByName(db, { name })) !== null) throw exists;
  const createdAt = deps.now();
  const description = {
    format: 'membridge-space/1',
    cid: space.cid,
    project_id: name,
    projects,
    created_at: createdAt,
  };
  await store.put(spaceKey(space.cid), Buffer.from(JSON.stringify(description)));
  const created = await createSpace(db, { space, source: input.source, createdAt });
  if (created === null) throw exists;
  try {
    await callEngine(engine, (client) => ensureMemorySpace(client, space));
  } catch (error) {
    await deleteSpace(db, { cid: space.cid, now: deps.now() });
    throw error;
  }
  return created;
}

/** Ends a space: its row and its workflow go; what it stored in the object store, and each node's memory, stay. */
export async function removeSpace(deps: Deps, cid: string): Promise<boolean> {
  // The workflow first: a row without one would be given one again at the next start, the reverse would not.
  await callEngine(deps.engine, (client) => closeMemorySpace(client, cid));
  return await deleteSpace(deps.db, { cid, now: deps.now() });
}
