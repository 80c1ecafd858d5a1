import type { WebSocket } from 'ws';
import { MAX_MISSED_PINGS, SOCKET_PING_MS } from '../contract/nodes/agent-socket.ts';

/**
 * Ends a WebSocket whose peer is silent. A peer that lost its power or network sends no FIN, so only pings
 * reveal it.
 * @param everyMs pause between two pings, in milliseconds
 */
export function endWhenSilent(socket: WebSocket, everyMs: number = SOCKET_PING_MS): void {
  let missed = 0;
  const heard = (): void => {
    missed = 0;
  };
  socket.on('pong', heard).on('ping', heard).on('message', heard);
  const timer = setInterval(() => {
    if (missed >= MAX_MISSED_PINGS) return socket.terminate();
    missed += 1;
    if (socket.readyState === socket.OPEN) socket.ping();
  }, everyMs);
  timer.unref();
  socket.once('close', () => clearInterval(timer));
}
