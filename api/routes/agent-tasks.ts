import { z } from 'zod';
import { Node } from '../../contract/nodes/nodes.ts';
import { OutputChunk } from '../../contract/tasks/runs.ts';
import { drainNode } from '../../db/queries/drain-node.ts';
import { appendOutput } from '../../db/queries/task-output.ts';
import { notFound } from '../http/not-found.ts';
import { defineRoute } from '../http/route.ts';
import { nameOf } from '../auth/actor.ts';

const Id = z.strictObject({ id: z.string() });

/** What agents tell of tasks, and what is asked of nodes that run them. */
export const agentTaskRoutes = [
  defineRoute({
    method: 'post',
    path: '/api/agent/tasks/:id/output',
    auth: 'node',
    tag: 'Agent',
    summary: 'A node tells what the program of its task writes',
    description:
      'Pieces that are there already are left out. The answer says whether more is wanted: not once the lease is lost.',
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
    summary: 'Have a node be given no new tasks, or be given them again',
    description: 'Tasks that run go on. It shows on the node within one heartbeat.',
    params: Id,
    body: z.strictObject({ drained: z.boolean() }),
    status: 200,
    response: Node,
    errors: { 404: 'There is no such node' },
    handle: async ({ params, body, caller }, deps) => {
      const change = { id: params.id, drained: body.drained, by: nameOf(caller), now: deps.now() };
      const node = await drainNode(deps.db, change);
      if (node === null) throw notFound('node', params.id);
      return node;
    },
  }),
];
