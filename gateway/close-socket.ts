import type { WebSocket } from 'ws';

/** How long a peer may take to answer a close, in milliseconds. */
const CLOSE_WITHIN_MS = 1_000;

/** Closes a WebSocket with a code, and ends it when the peer does not answer. */
export function closeSocket(socket: WebSocket, code: number, reason: string): void {
  socket.close(code, reason);
  setTimeout(() => socket.terminate(), CLOSE_WITHIN_MS).unref();
}
