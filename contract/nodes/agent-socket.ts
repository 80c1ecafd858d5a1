/** What all WebSockets between an agent and the control plane have in common. */

/** How often each end pings the other, in milliseconds. */
export const SOCKET_PING_MS = 20_000;

/** How many unanswered pings make an end close the socket. */
export const MAX_MISSED_PINGS = 2;

/** WebSocket close codes of the control plane, besides the standard ones. */
export const SOCKET_CLOSE = {
  /** The agent sent what no agent sends. */
  broken: 4_400,
  /** The node was removed, or enrolled again with another key. */
  revoked: 4_401,
  /** The node may not serve a pool that it served before. It connects again at once. */
  changed: 4_403,
  /** A tunnel carried no call with the agent's secret in time, or no HTTP/2 at all. */
  unused: 4_408,
} as const;

/** The reason that a closed socket gives for `revoked`. */
export const KEY_REVOKED = 'this key is no longer valid';
