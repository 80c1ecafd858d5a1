import { AGENT_CALLS_PATH } from '../../contract/nodes/agent-calls.ts';
import { defineRoute } from '../http/route.ts';
import { requireAccess, requireUpgrade } from '../nodes/agent-sockets.ts';

export const agentCallRoutes = [
  defineRoute({
    method: 'get',
    path: AGENT_CALLS_PATH,
    auth: 'node',
    tag: 'Agent',
    summary: "A node's agent opens the WebSocket on which it answers calls of people",
    description:
      'Each message is one JSON frame. The control plane sends `call` and `cancel`; the agent answers with `piece`, `answer` and `problem` (docs/internals/node-calls.md).',
    status: 101,
    content: 'application/json',
    errors: { 429: 'The node has too many such sockets' },
    unlimited: true,
    handle: async ({ req }, deps) => {
      const access = await requireAccess(req, deps);
      deps.calls.admit(access.node);
      deps.calls.accept(requireUpgrade(req), access);
    },
  }),
];
