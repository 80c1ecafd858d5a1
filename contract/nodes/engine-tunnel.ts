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
