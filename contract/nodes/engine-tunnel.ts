/** The agreement between the two ends of the engine tunnel: agent/tunnel opens it, gateway/ accepts it. */
import { z } from 'zod';

/** How an agent reaches Temporal: at Temporal's own address, or through the control plane. */
export const AgentEngineWay = z.enum(['direct', 'tunnel']);
export type AgentEngineWay = z.infer<typeof AgentEngineWay>;

/** The path of the tunnel, below the control plane's URL. */
export const ENGINE_TUNNEL_PATH = '/api/agent/engine';

/**
 * The header of the upgrade request that carries the secret. Every call through the tunnel must carry it as a bearer
 * token.
 */
export const TUNNEL_SECRET_HEADER = 'X-MEMBRIDGE-TUNNEL-SECRET';

/** The form of a secret that fits in a header: 32 to 128 characters of base64url. */
export const TUNNEL_SECRET = /^[\w-]{32,128}$/;

/** The most bytes of one WebSocket message. Each end cuts its stream into far smaller pieces. */
export const MAX_TUNNEL_MESSAGE_BYTES = 1_048_576;

/** How often each end pings the other, in milliseconds. */
export const TUNNEL_PING_MS = 20_000;

/** How many unanswered pings make an end close the tunnel. */
export const MAX_MISSED_PINGS = 2;

/** WebSocket close codes of the gateway, besides the standard ones. */
export const TUNNEL_CLOSE = {
  /** The node was removed, or enrolled again with another key. */
  revoked: 4_401,
  /** The node may not serve a pool that it served before. It connects again at once. */
  changed: 4_403,
  /** The tunnel carried no call with the agent's secret in time, or no HTTP/2 at all. */
  unused: 4_408,
} as const;
