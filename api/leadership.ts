import { randomBytes } from 'node:crypto';
import type { Leadership, SelectPrimary } from '../contract/leadership.ts';
import type { SelectRequest } from '../contract/workflows.ts';
import { getSpace } from '../db/queries/get-space.ts';
import { listProjectsOf } from '../db/queries/list-projects.ts';
import { listOriginalNodes } from '../db/queries/list-original-nodes.ts';
import { getLeadership } from '../db/queries/record-leadership.ts';
import { selectPrimary } from '../engine/leadership-workflows.ts';
import type { Deps } from './deps.ts';
import { callEngine } from './engine-calls.ts';
import { needNode, notFound } from './not-found.ts';
import { nameOf } from './named.ts';
import type { Caller } from './route.ts';

/**
 * The canonical id that is led: of a space or project, also of one that had it before; or of a project that agents of the original
 * report.
 * @throws MembridgeError not_found
 */
export async function needLed(deps: Deps, cid: string): Promise<string> {
  const space = await getSpace(deps.db, { cid });
  if (space !== null) return space.canonical_id;
  const [project] = await listProjectsOf(deps.db, { cid });
  if (project !== undefined) return project.canonical_id;
  if ((await listOriginalNodes(deps.db, { cid })).length > 0) return cid;
  throw notFound('project', cid);
}

/** Who is primary, for a canonical id that `needLed` gave. */
export async function leadershipOf(deps: Deps, cid: string): Promise<Leadership> {
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
 * Makes a node primary. Of another one than before, this begins a new epoch; of the same one, it renews the lease.
 * @throws MembridgeError not_found for a node that is not enrolled; engine_unavailable
 */
export async function promote(
  deps: Deps,
  input: { cid: string; select: SelectPrimary; caller: Caller },
): Promise<Leadership> {
  const { cid, select, caller } = input;
  const reported = await listOriginalNodes(deps.db, { cid });
  // A machine that only reports in the original's way may be primary of what it reports.
  const reports = reported.some(({ node_id }) => node_id === select.primary_node_id);
  const node = reports ? select.primary_node_id : (await needNode(deps, select.primary_node_id)).id;
  await ask(deps, cid, { node, leaseSeconds: select.lease_seconds, by: nameOf(caller) });
  return await leadershipOf(deps, cid);
}

/** Has nobody be primary any more, in a new epoch; nothing where nobody is. @throws MembridgeError engine_unavailable */
export async function release(deps: Deps, cid: string, by: string): Promise<void> {
  const known = await getLeadership(deps.db, { cid, now: deps.now() });
  if (known === null || known.primary_node_id === null) return;
  await ask(deps, cid, { node: null, leaseSeconds: known.lease_seconds, by });
}

async function ask(deps: Deps, cid: string, request: SelectRequest): Promise<void> {
  const known = await getLeadership(deps.db, { cid, now: deps.now() });
  const updateId = `select_${randomBytes(8).toString('hex')}`;
  await callEngine(deps.engine, (client) => selectPrimary(client, { cid, known, request, updateId }));
}
