/** What the two ends of the engine tunnel agree on: agent/tunnel opens it, gateway/ takes it. */
import { z } from 'zod';

/** How an agent reaches Temporal: at Temporal's own address, or through the control plane. */
export const AgentEngineWay = z.enum(['direct', 'tunnel']);
export type AgentEngineWay = z.infer<typeof AgentEngineWay>;

/** Where an agent opens the tunnel, below the control plane's URL. */
export const ENGINE_TUNNEL_PATH = '/api/agent/engine';

/** The header of the upgrade request that names the secret. Every call through the tunnel must carry it as a bearer token. */
export const TUNNEL_SECRET_HEADER = 'X-MEMBRIDGE-TUNNEL-SECRET';

/** A secret that can be sent in a header: 32 to 128 characters of base64url. */
export const TUNNEL_SECRET = /^[\w-]{32,128}$/;

/** Bytes of one WebSocket message at most. Each end cuts its stream into pieces that are far smaller. */
export const MAX_TUNNEL_MESSAGE_BYTES = 1_048_576;

/** How often each end pings the other, in milliseconds. */
export const TUNNEL_PING_MS = 20_000;

/** Pings without an answer after which an end closes the tunnel. */
export const MAX_MISSED_PINGS = 2;

/** WebSocket close codes of the gateway, besides the standard ones. */
export const TUNNEL_CLOSE = {
  /** The node was removed, or enrolled again with another key. */
  revoked: 4_401,
  /** The tunnel carried no call with the agent's secret in time, or no HTTP/2 at all. */
  unused: 4_408,
} as const;
