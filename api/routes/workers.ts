import { z } from 'zod';
import { RuntimeStats } from '../../contract/http/api.ts';
import { Lease } from '../../contract/tasks/leases.ts';
import { CreateEnrolmentToken, EnrolmentToken, Node } from '../../contract/nodes/nodes.ts';
import { createEnrolmentToken } from '../../db/queries/create-enrolment-token.ts';
import { deleteNode } from '../../db/queries/delete-node.ts';
import { listLeases } from '../../db/queries/find-leases.ts';
import { listNodes } from '../../db/queries/list-nodes.ts';
import {
  deleteOriginalAgent,
  getOriginalAgent,
  listOriginalAgents,
} from '../../db/queries/original-agents.ts';
import { readStats } from '../../db/queries/read-stats.ts';
import { auditByCaller, actorName } from '../auth/actor.ts';
import { requireNode, notFoundError } from '../http/not-found.ts';
import { cancelNodeClones } from '../projects/requests.ts';
import { keptAnswer } from '../http/kept-answer.ts';
import { defineRoute } from '../http/route.ts';
import { randomSecret, sha256Hex } from '../auth/secrets.ts';
import { giveBackTasks } from '../tasks/give-back.ts';
import { originalWorkerRoutes } from './original-workers.ts';

const tag = 'Nodes';
const WorkerId = z.strictObject({ id: z.string() });

export const workerRoutes = [
  defineRoute({
    method: 'get',
    path: '/api/runtime/workers',
    auth: 'people',
    tag,
    summary: 'List all nodes, and machines with the original\'s agent (kind "original")',
    query: z.strictObject({}),
    status: 200,
    response: z.array(Node),
    handle: async (_call, { db, now }) => [
      ...(await listNodes(db, { now: now() })),
      ...(await listOriginalAgents(db, { now: now() })),
    ],
  }),
  ...originalWorkerRoutes,
  defineRoute({
    method: 'get',
    path: '/api/runtime/workers/:id',
    auth: 'people',
    tag,
    summary: 'Get one node, with the leases that it holds',
    params: WorkerId,
    status: 200,
    response: z.strictObject({ ...Node.shape, leases: z.array(Lease) }),
    errors: { 404: 'There is no such node' },
    handle: async ({ params }, deps) => {
      const original = await getOriginalAgent(deps.db, { name: params.id, now: deps.now() });
      if (original !== null) return { ...original, leases: [] };
      const node = await requireNode(deps, params.id);
      return { ...node, leases: await listLeases(deps.db, { status: 'active', worker: node.id }) };
    },
  }),
  defineRoute({
    method: 'delete',
    path: '/api/runtime/workers/:id',
    auth: 'people',
    tag,
    summary: 'Remove a node; its key stops working immediately',
    description:
      "The node's memory stays, and so do its objects in the object store. Its tasks are queued again.",
    params: WorkerId,
    status: 200,
    response: z.strictObject({ removed: z.literal(true), id: z.string() }),
    errors: { 404: 'There is no such node' },
    handle: async ({ params, caller }, deps) => {
      const removed = { removed: true as const, id: params.id };
      if (await deleteOriginalAgent(deps.db, { name: params.id, now: deps.now(), by: auditByCaller(caller) }))
        return removed;
      await cancelNodeClones(deps, params.id);
      const gone = await deleteNode(deps.db, { id: params.id, now: deps.now(), by: auditByCaller(caller) });
      if (!gone) throw notFoundError('node', params.id);
      await giveBackTasks(deps, params.id, actorName(caller));
      return removed;
    },
  }),
  defineRoute({
    method: 'post',
    path: '/api/runtime/enrolment-tokens',
    auth: 'people',
    tag,
    summary: 'Make a one-time token for enrolling a machine',
    description:
      'With node_id the token enrols exactly that node; if the node exists, its old key is revoked. Without node_id, it enrols one new node of any name. `pools` are those that the node may serve besides the default one. The token is shown only this once.',
    body: CreateEnrolmentToken,
    status: 201,
    response: EnrolmentToken,
    handle: async ({ body, caller }, deps) => {
      const token = randomSecret();
      const now = deps.now();
      const expiresAt = now + body.ttl_seconds * 1_000;
      const nodeId = body.node_id ?? null;
      await createEnrolmentToken(deps.db, {
        tokenHash: sha256Hex(token),
        nodeId,
        pools: body.pools,
        now,
        expiresAt,
        by: auditByCaller(caller),
      });
      const pin = deps.serverPin();
      return {
        token,
        node_id: nodeId,
        expires_at: expiresAt,
        ...(pin === null ? {} : { server_pin: pin }),
      };
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/stats',
    auth: 'people',
    tag,
    summary: 'Get figures of the whole fleet',
    status: 200,
    response: RuntimeStats,
    // Every open tab requests these counts, and counting a large history takes long.
    handle: async (_call, { db, now }) =>
      await keptAnswer(db, 'stats', () => readStats(db, { now: now() })).get(),
  }),
];
