import { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import { Node } from '../../contract/nodes/nodes.ts';
import { OriginalRegisterWorker } from '../../contract/http/original.ts';
import { getNode } from '../../db/queries/get-node.ts';
import { getOriginalAgent, registerOriginalAgent } from '../../db/queries/original-agents.ts';
import { auditByCaller } from '../auth/actor.ts';
import { requireNode } from '../http/not-found.ts';
import { defineRoute } from '../http/route.ts';

const tag = "Nodes (original's agents)";
const WorkerId = z.strictObject({ id: z.string() });
const OPERATIONS = ['update', 'restart', 'uninstall'] as const;

/**
 * How the original's agents register with the runtime, and what its page asked of them. The control plane calls no
 * agent by its URL.
 */
export const originalWorkerRoutes = [
  defineRoute({
    method: 'post',
    path: '/api/runtime/workers',
    auth: 'people',
    tag,
    summary: "Register a machine with the original's agent: its reports are shown, and it gets nothing to do",
    description:
      'The original sent this at each start of an agent. 201 for a new machine, 200 for a known one. A machine takes part once it is enrolled: POST /api/runtime/enrolment-tokens.',
    body: OriginalRegisterWorker,
    status: 200,
    response: Node,
    errors: { 409: 'A node of this name is enrolled: its facts come from its own agent' },
    handle: async ({ body, caller, res }, { db, now }) => {
      if ((await getNode(db, { id: body.name, now: now() })) !== null) {
        throw new MembridgeError(
          'conflict',
          `${body.name} is enrolled, and reports by its own agent. Stop the original's agent on that machine, or give it another MEMBRIDGE_NODE_ID.`,
        );
      }
      const { node, isNew } = await registerOriginalAgent(db, {
        ...body,
        now: now(),
        by: auditByCaller(caller),
      });
      if (isNew) res.status(201);
      return node;
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/workers/:id/agent-health',
    auth: 'people',
    tag,
    summary: 'Get when an agent last reported, and its report; nobody is called',
    params: WorkerId,
    query: z.strictObject({}),
    status: 200,
    response: z.strictObject({
      reachable: z.boolean(),
      status: z.string(),
      version: z.string(),
      os_info: z.string(),
      last_heartbeat: z.number().nullable(),
    }),
    errors: { 404: 'There is no such node' },
    handle: async ({ params }, deps) => {
      const asked = { name: params.id, now: deps.now() };
      const node = (await getOriginalAgent(deps.db, asked)) ?? (await requireNode(deps, params.id));
      const { status, agent_version: version, os_info, last_heartbeat } = node;
      return { reachable: status === 'online', status, version, os_info, last_heartbeat };
    },
  }),
  ...OPERATIONS.map((operation) =>
    defineRoute({
      method: 'post',
      path: `/api/runtime/workers/:id/agent-${operation}`,
      auth: 'people',
      tag,
      summary: `Answers 409: a machine does its own ${operation}, and the answer says how`,
      params: WorkerId,
      status: 200,
      errors: { 404: 'There is no such node', 409: 'Always' },
      handle: async ({ params }, deps) => {
        const { id } = await requireNode(deps, params.id);
        throw new MembridgeError(
          'conflict',
          `The control plane calls no agent by URL. To ${operation} ${id}, run install.sh on that machine (docs/install.md).`,
        );
      },
    }),
  ),
];
