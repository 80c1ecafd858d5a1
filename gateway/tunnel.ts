import { performServerHandshake, type ServerHttp2Session } from 'node:http2';
import { createWebSocketStream, type WebSocket } from 'ws';
import { SOCKET_CLOSE } from '../contract/nodes/agent-socket.ts';
import { endWhenSilent } from '../engine/end-when-silent.ts';
import { closeSocket } from './close-socket.ts';
import { serveCall, type CallContext } from './serve-call.ts';

/** How long a new tunnel may take until its first call with the agent's secret, in milliseconds. */
const CALL_WITHIN_MS = 10_000;
/** The most concurrent calls: an agent runs 200 activities, and each may report while polls are open. */
const MAX_CALLS = 512;
/** How many bytes an agent may send before it waits: inputs and results cross wide networks in one flight. */
const STREAM_WINDOW = 1_048_576;
const SESSION_WINDOW = 4_194_304;
/** The most megabytes of HTTP/2 state for one tunnel. */
const MAX_SESSION_MB = 32;

/** One agent's open tunnel. */
export interface Tunnel {
  /** Ends it and all its calls. */
  close(code: number, reason: string): void;
}

/** Speaks HTTP/2 with the agent at the other end of a WebSocket, and serves its calls. */
export function openTunnel(socket: WebSocket, context: CallContext): Tunnel {
  endWhenSilent(socket);
  const duplex = createWebSocketStream(socket);
  const session: ServerHttp2Session = performServerHandshake(duplex, {
    maxSessionMemory: MAX_SESSION_MB,
    settings: { maxConcurrentStreams: MAX_CALLS, initialWindowSize: STREAM_WINDOW },
  });
  session.setLocalWindowSize(SESSION_WINDOW);

  let isClosing = false;
  const close = (code: number, reason: string): void => {
    if (isClosing) return;
    isClosing = true;
    closeSocket(socket, code, reason);
    session.destroy();
  };

  // Another user of the agent's machine may connect to its port, and would otherwise take the places of its workers.
  const unused = setTimeout(() => close(SOCKET_CLOSE.unused, 'no call in time'), CALL_WITHIN_MS);
  const isAuthorized = (given: string | undefined): boolean => {
    const isAgent = context.isAuthorized(given);
    if (isAgent) clearTimeout(unused);
    return isAgent;
  };
  session.on('stream', (stream, headers) => void serveCall(stream, headers, { ...context, isAuthorized }));
  // The bytes are not HTTP/2, or the connection broke. Only the peer can know why.
  session.on('error', () => close(SOCKET_CLOSE.unused, 'no HTTP/2'));
  session.once('close', () => close(1_000, 'the session ended'));
  duplex.on('error', () => socket.terminate());
  socket.on('error', () => socket.terminate());
  socket.once('close', () => {
    clearTimeout(unused);
    session.destroy();
  });
  return { close };
}
