import { z } from 'zod';
import { OriginalAgent } from '../../contract/http/api.ts';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { MembridgeError } from '../../contract/errors.ts';
import {
  OriginalHeartbeat,
  OriginalHeartbeatResponse,
  OriginalRegisterAgent,
  OriginalRegisterWorker,
} from '../../contract/http/original.ts';
import { ProjectName } from '../../contract/http/primitives.ts';
import { deleteNode } from '../../db/queries/delete-node.ts';
import { getNode } from '../../db/queries/get-node.ts';
import { getSpace } from '../../db/queries/get-space.ts';
import { listNodes } from '../../db/queries/list-nodes.ts';
import {
  NEVER_REGISTERED,
  deleteOriginalAgent,
  getOriginalAgent,
  listOriginalAgents,
  registerOriginalAgent,
  touchOriginalAgent,
} from '../../db/queries/original-agents.ts';
import { recordOriginalHeartbeat } from '../../db/queries/record-original-heartbeat.ts';
import type { Deps } from '../deps.ts';
import type { AuditBy } from '../../db/queries/record-audit.ts';
import { auditByCaller, actorName } from '../auth/actor.ts';
import { notFoundError } from '../http/not-found.ts';
import { cancelNodeClones } from '../projects/requests.ts';
import { findOriginalRole } from '../original/original-role.ts';
import { defineRoute } from '../http/route.ts';
import { addOriginalSpace } from '../spaces/spaces.ts';
import { giveBackTasks } from '../tasks/give-back.ts';

const tag = 'Agents (original paths)';

/** Stands for every claude-mem project; no project can have this name. */
const EVERY_PROJECT = '*';

/**
 * Makes the project of a heartbeat that came with the admin key, unless it exists. Without a name nothing could be
 * synced, nor under an id that the name does not give (the original let an agent choose one). Then only the report is
 * stored.
 */
async function ensureProject(deps: Deps, cid: string, name: string | null, by: AuditBy): Promise<void> {
  if (name === null || name === EVERY_PROJECT || canonicalId(name) !== cid) return;
  if (!ProjectName.safeParse(name).success) return;
  if ((await getSpace(deps.db, { cid })) !== null) return;
  await addOriginalSpace(deps, { name, source: 'heartbeat', by }).catch((error: unknown) => {
    // Another node's heartbeat came first.
    if (!(error instanceof MembridgeError && error.code === 'conflict')) throw error;
  });
}

export const originalAgentRoutes = [
  defineRoute({
    method: 'get',
    path: '/agents',
    auth: 'admin',
    tag,
    summary: 'List all nodes, in the original’s form',
    status: 200,
    response: z.array(OriginalAgent),
    handle: async (_call, { db, now }) => {
      const nodes = await listNodes(db, { now: now() });
      // As in the original, a heartbeat does not register a node.
      const originals = (await listOriginalAgents(db, { now: now() })).filter(
        ({ install_method: method }) => method !== NEVER_REGISTERED,
      );
      return [...nodes, ...originals].map((node) => ({
        name: node.id,
        url: node.url,
        status: node.status,
        registered_at: node.registered_at,
        last_seen: node.last_heartbeat,
      }));
    },
  }),
  defineRoute({
    method: 'post',
    path: '/agents',
    auth: 'admin',
    tag,
    summary: "Name a machine with the original's agent; nobody calls its URL",
    original: true,
    body: OriginalRegisterAgent,
    status: 201,
    response: OriginalAgent,
    errors: { 409: 'An agent of this name is registered or enrolled' },
    handle: async ({ body, caller }, { db, now }) => {
      const { name, url } = body;
      const known =
        (await getNode(db, { id: name, now: now() })) ?? (await getOriginalAgent(db, { name, now: now() }));
      // A machine known only from heartbeats may still be registered.
      if (known !== null && known.install_method !== NEVER_REGISTERED)
        throw new MembridgeError('conflict', `An agent named ${name} is registered already.`);
      const given = OriginalRegisterWorker.parse({ name, url: url.replace(/\/+$/, ''), status: 'unknown' });
      const { node } = await registerOriginalAgent(db, { ...given, now: now(), by: auditByCaller(caller) });
      return { name, url: node.url, status: node.status, registered_at: node.registered_at, last_seen: null };
    },
  }),
  defineRoute({
    method: 'delete',
    path: '/agents/:name',
    auth: 'admin',
    tag,
    summary: 'Remove a node; its key stops working immediately',
    params: z.strictObject({ name: z.string() }),
    status: 204,
    errors: { 404: 'There is no such node' },
    handle: async ({ params, caller }, deps) => {
      const { name } = params;
      if (await deleteOriginalAgent(deps.db, { name, now: deps.now(), by: auditByCaller(caller) })) return;
      await cancelNodeClones(deps, params.name);
      const gone = await deleteNode(deps.db, { id: params.name, now: deps.now(), by: auditByCaller(caller) });
      if (!gone) throw notFoundError('node', params.name);
      await giveBackTasks(deps, params.name, actorName(caller));
    },
  }),
  defineRoute({
    method: 'post',
    path: '/agent/heartbeat',
    auth: 'heartbeat',
    tag,
    summary: "Send the original agent's heartbeat for one project",
    description:
      'projects, and gets a space when a person makes one: POST /projects, or the page./With the admin key it creates an unknown project, named by project_id, and its space covers every claude-mem project. GET /projects lists what an agent reports with its own key. Such a project gets a space only when a person makes one: POST /projects, or the page./projects, and gets a space when a person makes one: POST /projects, or the page.',
    original: true,
    body: OriginalHeartbeat,
    status: 200,
    response: OriginalHeartbeatResponse,
    errors: { 403: "A node's own key was used for another node" },
    unlimited: true,
    handle: async ({ body, caller }, deps) => {
      if (caller.node !== undefined && caller.node !== body.node_id) {
        throw new MembridgeError(
          'forbidden',
          `The key of node ${caller.node} cannot report for ${body.node_id}.`,
        );
      }
      // A space makes every machine send its memories, so an agent alone must not cause one.
      if (caller.kind === 'admin') {
        const by = { actor: actorName(caller), cause: `${body.node_id} reported it with the admin key` };
        await ensureProject(deps, body.canonical_id, body.project_id ?? null, by);
      }
      // A project that was renamed here is reported under its former name.
      const space = await getSpace(deps.db, { cid: body.canonical_id });
      const cid = space?.canonical_id ?? body.canonical_id;
      await recordOriginalHeartbeat(deps.db, {
        cid,
        node: body.node_id,
        projectId: body.project_id ?? '',
        observations: body.obs_count ?? 0,
        databaseSha: body.db_sha ?? '',
        ipAddresses: body.ip_addrs ?? [],
        now: deps.now(),
      });
      // A node of ours reports the projects of its hooks here, and is listed already.
      if (caller.node === undefined) {
        await touchOriginalAgent(deps.db, {
          name: body.node_id,
          ipAddresses: body.ip_addrs ?? [],
          version: body.agent_version ?? null,
          now: deps.now(),
        });
      }
      const role = await findOriginalRole(deps, { cid, node: body.node_id });
      return { ok: true as const, role, canonical_id: body.canonical_id };
    },
  }),
];
