import { z } from 'zod';
import { OriginalAgent } from '../../contract/api.ts';
import { canonicalId } from '../../contract/canonical-id.ts';
import { MembridgeError } from '../../contract/errors.ts';
import { CanonicalId, NodeId, ProjectName } from '../../contract/primitives.ts';
import { deleteNode } from '../../db/queries/delete-node.ts';
import { getSpace } from '../../db/queries/get-space.ts';
import { listNodes } from '../../db/queries/list-nodes.ts';
import { recordOriginalHeartbeat } from '../../db/queries/record-original-heartbeat.ts';
import type { Deps } from '../deps.ts';
import { notFound } from '../not-found.ts';
import { cancelNodeClones } from '../projects/requests.ts';
import { defineRoute } from '../route.ts';
import { addSpace } from '../spaces.ts';

const tag = 'Agents (original paths)';

const RegisterAgent = z.strictObject({ name: NodeId, url: z.string().max(512) });

/** The original agent's report about one of its projects. Its own clock (`last_seen`) is not trusted. */
const OriginalHeartbeat = z.strictObject({
  node_id: NodeId,
  canonical_id: CanonicalId,
  obs_count: z.number().int().min(0).max(2_147_483_647).nullish(),
  db_sha: z.string().max(128).nullish(),
  last_seen: z.union([z.number(), z.string().max(64)]).nullish(),
  ip_addrs: z.array(z.string().max(64)).max(64).default([]),
  project_id: ProjectName.nullish(),
  agent_version: z.string().max(64).nullish(),
});

const OriginalHeartbeatResponse = z.strictObject({
  ok: z.literal(true),
  role: z.string(),
  canonical_id: CanonicalId,
});

/** Makes the project of a heartbeat unless it exists. Without a name there is nothing that could be synced. */
async function ensureProject(deps: Deps, cid: string, name: string | null): Promise<void> {
  if (name === null) return;
  if (canonicalId(name) !== cid) {
    const problem = `must be ${canonicalId(name)} for project_id ${name}`;
    throw new MembridgeError('bad_request', `canonical_id ${problem}`, {
      fields: [{ field: 'canonical_id', problem }],
    });
  }
  if ((await getSpace(deps.db, { cid })) !== null) return;
  await addSpace(deps, { name, projects: [name], source: 'heartbeat' }).catch((error: unknown) => {
    // Another node's heartbeat was first.
    if (!(error instanceof MembridgeError && error.code === 'conflict')) throw error;
  });
}

export const originalAgentRoutes = [
  defineRoute({
    method: 'get',
    path: '/agents',
    auth: 'admin',
    tag,
    summary: 'All nodes, in the original shape',
    status: 200,
    response: z.array(OriginalAgent),
    handle: async (_call, { db, now }) => {
      const nodes = await listNodes(db, { now: now() });
      return nodes.map((node) => ({
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
    summary: 'Not used any more: answers 409 and tells how a machine enrols itself',
    body: RegisterAgent,
    status: 201,
    response: OriginalAgent,
    errors: { 409: 'Always: an agent enrols itself' },
    handle: ({ body }) => {
      throw new MembridgeError(
        'conflict',
        `An agent is no longer registered by its URL; it enrols itself. Make a token with POST /api/runtime/enrolment-tokens {"node_id": "${body.name}"}, then start the agent on that machine with it.`,
      );
    },
  }),
  defineRoute({
    method: 'delete',
    path: '/agents/:name',
    auth: 'admin',
    tag,
    summary: 'Remove a node; its key stops working at once',
    params: z.strictObject({ name: z.string() }),
    status: 204,
    errors: { 404: 'There is no such node' },
    handle: async ({ params }, deps) => {
      await cancelNodeClones(deps, params.name);
      const gone = await deleteNode(deps.db, { id: params.name, now: deps.now() });
      if (!gone) throw notFound('node', params.name);
    },
  }),
  defineRoute({
    method: 'post',
    path: '/agent/heartbeat',
    auth: 'heartbeat',
    tag,
    summary: "The original agent's heartbeat for one project",
    description: 'Creates the project when it is unknown and project_id names it.',
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
      await ensureProject(deps, body.canonical_id, body.project_id ?? null);
      // A project that was renamed here is reported under its older name.
      const space = await getSpace(deps.db, { cid: body.canonical_id });
      await recordOriginalHeartbeat(deps.db, {
        cid: space?.canonical_id ?? body.canonical_id,
        node: body.node_id,
        projectId: body.project_id ?? '',
        observations: body.obs_count ?? 0,
        databaseSha: body.db_sha ?? '',
        ipAddresses: body.ip_addrs,
        now: deps.now(),
      });
      return { ok: true as const, role: 'unknown', canonical_id: body.canonical_id };
    },
  }),
];
