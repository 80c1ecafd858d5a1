import { MembridgeError } from '../../contract/errors.ts';
import { ENGINE_TUNNEL_PATH, TUNNEL_SECRET_HEADER } from '../../contract/nodes/engine-tunnel.ts';
import { findNodeAccess } from '../../db/queries/find-node-access.ts';
import { defineRoute } from '../http/route.ts';
import { sha256Hex } from '../auth/secrets.ts';
import { takeUpgrade } from '../http/upgrades.ts';

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
      const keyHash = sha256Hex(req.get('X-MEMBRIDGE-AGENT') ?? '');
      const access = await findNodeAccess(deps.db, { keyHash });
      if (access === null) throw new MembridgeError('unauthorized', 'This node was removed; enrol it again.');
      const secret = deps.gateway.admit(access.node, req);
      const upgrade = takeUpgrade(req);
      if (upgrade === null) {
        throw new MembridgeError(
          'bad_request',
          `${ENGINE_TUNNEL_PATH} accepts only WebSockets, and this request asks for none. A proxy between the agent and the control plane removes the header Upgrade: configure it to forward WebSockets.`,
        );
      }
      deps.gateway.accept({ req, ...upgrade }, { ...access, keyHash }, secret);
    },
  }),
];
