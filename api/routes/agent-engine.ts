import { ENGINE_TUNNEL_PATH, TUNNEL_SECRET_HEADER } from '../../contract/nodes/engine-tunnel.ts';
import { defineRoute } from '../http/route.ts';
import { requireAccess, requireUpgrade } from '../nodes/agent-sockets.ts';

export const agentEngineRoutes = [
  defineRoute({
    method: 'get',
    path: ENGINE_TUNNEL_PATH,
    auth: 'node',
    tag: 'Agent',
    summary: "A node's agent opens the tunnel to Temporal, as a WebSocket",
    description: `The WebSocket carries the bytes of gRPC over HTTP/2. Every call in it must have \`authorization: Bearer\` with the secret of the header ${TUNNEL_SECRET_HEADER}, and must be one that the node may make.`,
    status: 101,
    content: 'application/octet-stream',
    errors: { 429: 'The node has too many tunnels' },
    unlimited: true,
    handle: async ({ req }, deps) => {
      const access = await requireAccess(req, deps);
      const secret = deps.gateway.admit(access.node, req);
      deps.gateway.accept(requireUpgrade(req), access, secret);
    },
  }),
];
