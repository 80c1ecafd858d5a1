import type { IncomingMessage } from 'node:http';
import type { WebSocket } from '../../transport/requests.ts';
import { PROTOCOL, PROTOCOL_HEADER } from '../../contract/nodes/protocol.ts';
import { endWhenSilent } from '../../engine/end-when-silent.ts';
import { openWebSocket } from '../../transport/requests.ts';
import type { Server } from '../../transport/server.ts';
import { explainConnection } from '../../transport/tls-problem.ts';
import { readRefusal, type SocketPurpose } from './refusal.ts';

/** How long the control plane may take to open a WebSocket, in milliseconds. */
const OPEN_WITHIN_MS = 10_000;

/** A WebSocket to open at the control plane. */
export interface AgentSocketOptions {
  readonly server: Server;
  /** The node's own key. */
  readonly agentKey: string;
  readonly path: string;
  readonly purpose: SocketPurpose;
  readonly maxMessageBytes: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Opens a WebSocket to the control plane with the node's key. Both ends ping.
 * @param on.opened called once it is open
 * @param on.failed called with why it did not open, or why it ended; perhaps more than once
 */
export function openAgentSocket(
  { server, agentKey, path, purpose, maxMessageBytes, headers }: AgentSocketOptions,
  on: { opened(): void; failed(problem: string): void },
): WebSocket {
  const socket = openWebSocket(server, path, {
    headers: { 'X-MEMBRIDGE-AGENT': agentKey, [PROTOCOL_HEADER]: String(PROTOCOL), ...headers },
    handshakeTimeout: OPEN_WITHIN_MS,
    maxPayload: maxMessageBytes,
  });
  socket.once('unexpected-response', (_request, response: IncomingMessage) => {
    void readRefusal(response, server.url, purpose).then((problem) => on.failed(problem));
  });
  socket.on('error', (error) =>
    on.failed(`The control plane at ${server.url} does not answer: ${explainConnection(error, server)}`),
  );
  socket.once('open', () => {
    endWhenSilent(socket);
    on.opened();
  });
  socket.once('close', (code, reason) =>
    on.failed(`The control plane closed the ${purpose.name} (${code} ${reason.toString()}).`),
  );
  return socket;
}
