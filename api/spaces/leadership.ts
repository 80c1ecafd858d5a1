import { randomBytes } from 'node:crypto';
import {
  FoundLease,
  leaseKey,
  type Leadership,
  type SelectPrimary,
} from '../../contract/memory/leadership.ts';
import type { SelectRequest } from '../../contract/workflows.ts';
import { getSpace } from '../../db/queries/get-space.ts';
import { listProjectsOf } from '../../db/queries/list-projects.ts';
import { getLeadership } from '../../db/queries/record-leadership.ts';
import { selectPrimary } from '../../engine/leadership-workflows.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { actorName } from '../auth/actor.ts';
import type { Caller } from '../http/route.ts';

/**
 * Returns the canonical id under which leadership is kept: of a space or project, also when the given id is a former
 * one. As in the original, an unknown project may be led, under the given id.
 */
export async function requireLedId(deps: Deps, cid: string): Promise<string> {
  const space = await getSpace(deps.db, { cid });
  if (space !== null) return space.canonical_id;
  const [project] = await listProjectsOf(deps.db, { cid });
  return project?.canonical_id ?? cid;
}

/** Returns the primary, for a canonical id that `requireLedId` returned. */
export async function readLeadership(deps: Deps, cid: string): Promise<Leadership> {
  const known = await getLeadership(deps.db, { cid, now: deps.now() });
  return (
    known ?? {
      canonical_id: cid,
      primary_node_id: null,
      epoch: 0,
      issued_at: null,
      expires_at: null,
      lease_seconds: 0,
      policy: 'primary_authoritative',
      issued_by: null,
      status: 'needs_selection',
      last_snapshot_at: null,
      last_mirror_at: null,
      last_error: null,
      events: [],
    }
  );
}

/**
 * Makes a node primary, even an unknown one. For another node than before, this begins a new leadership epoch; for
 * the same one, it renews the lease. Epochs continue from the lease that machines with the original's scripts left in
 * the object store.
 * @throws MembridgeError store_unavailable where no leadership is recorded and that lease cannot be read;
 * engine_unavailable
 */
export async function promote(
  deps: Deps,
  input: { cid: string; select: SelectPrimary; caller: Caller },
): Promise<Leadership> {
  const { cid, select, caller } = input;
  const request = { node: select.primary_node_id, leaseSeconds: select.lease_seconds, by: actorName(caller) };
  await ask(deps, cid, { ...request, above: await readStoredEpoch(deps, cid) });
  return await readLeadership(deps, cid);
}

/**
 * Removes the primary, in a new leadership epoch; does nothing where there is none. @throws MembridgeError
 * engine_unavailable
 */
export async function release(deps: Deps, cid: string, by: string): Promise<void> {
  const known = await getLeadership(deps.db, { cid, now: deps.now() });
  if (known === null || known.primary_node_id === null) return;
  await ask(deps, cid, { node: null, leaseSeconds: known.lease_seconds, by });
}

/** Returns the leadership epoch of the lease in the object store; 0 where there is none, or none that can be read. */
async function readStoredEpoch(deps: Deps, cid: string): Promise<number> {
  const isKnown = (await getLeadership(deps.db, { cid, now: deps.now() })) !== null;
  let bytes: Buffer | null;
  try {
    bytes = await deps.store.get(leaseKey(cid));
  } catch (error) {
    // PostgreSQL has an epoch to continue from. Without one, a lower epoch could overrule the lease in the store.
    if (isKnown) return 0;
    throw error;
  }
  if (bytes === null) return 0;
  try {
    return FoundLease.parse(JSON.parse(bytes.toString('utf8'))).epoch;
  } catch {
    deps.logger.warn(
      { key: leaseKey(cid) },
      'the lease in the object store is damaged: epochs continue without it',
    );
    return 0;
  }
}

async function ask(deps: Deps, cid: string, request: SelectRequest): Promise<void> {
  const known = await getLeadership(deps.db, { cid, now: deps.now() });
  const updateId = `select_${randomBytes(8).toString('hex')}`;
  await callEngine(deps.engine, (client) => selectPrimary(client, { cid, known, request, updateId }));
}
