import { z } from 'zod';
import { AllowPools, Node } from '../../contract/nodes/nodes.ts';
import { OutputChunk } from '../../contract/tasks/runs.ts';
import { allowPools } from '../../db/queries/allow-pools.ts';
import { drainNode } from '../../db/queries/drain-node.ts';
import { appendOutput } from '../../db/queries/task-output.ts';
import { notFoundError } from '../http/not-found.ts';
import { defineRoute } from '../http/route.ts';
import { actorName, auditByCaller } from '../auth/actor.ts';

const Id = z.strictObject({ id: z.string() });

/** What agents report about tasks, and what people set for nodes that run them. */
export const agentTaskRoutes = [
  defineRoute({
    method: 'post',
    path: '/api/agent/tasks/:id/output',
    auth: 'node',
    tag: 'Agent',
    summary: 'Report the output of a task’s program, as its node',
    description:
      'Chunks that were stored before are ignored. The answer says whether the node should send more; after a lost lease it should not.',
    params: Id,
    body: z.strictObject({
      epoch: z.number().int().positive(),
      chunks: z.array(OutputChunk).max(1_000),
    }),
    status: 200,
    response: z.strictObject({ wanted: z.boolean() }),
    unlimited: true,
    handle: async ({ params, body, caller }, deps) => ({
      wanted: await appendOutput(deps.db, { taskId: params.id, node: caller.node ?? '', ...body }),
    }),
  }),
  defineRoute({
    method: 'post',
    path: '/api/runtime/workers/:id/drain',
    auth: 'people',
    tag: 'Nodes',
    summary: 'Drain a node, or give it new tasks again',
    description: 'Running tasks continue. The node follows within one heartbeat.',
    params: Id,
    body: z.strictObject({ drained: z.boolean() }),
    status: 200,
    response: Node,
    errors: { 404: 'There is no such node' },
    handle: async ({ params, body, caller }, deps) => {
      const change = { id: params.id, drained: body.drained, by: actorName(caller), now: deps.now() };
      const node = await drainNode(deps.db, change);
      if (node === null) throw notFoundError('node', params.id);
      return node;
    },
  }),
  defineRoute({
    method: 'put',
    path: '/api/runtime/workers/:id/pools',
    auth: 'people',
    tag: 'Nodes',
    summary: 'Set the pools that a node may serve',
    description:
      'Besides the pool `default`, a node serves the pools that its owner asks for (MEMBRIDGE_LABELS) and that are allowed here or by its enrolment token. The node follows within one heartbeat.',
    params: Id,
    body: AllowPools,
    status: 200,
    response: Node,
    errors: { 404: 'There is no such node' },
    handle: async ({ params, body, caller }, deps) => {
      const by = auditByCaller(caller);
      const node = await allowPools(deps.db, { id: params.id, pools: body.pools, by, now: deps.now() });
      if (node === null) throw notFoundError('node', params.id);
      return node;
    },
  }),
];
