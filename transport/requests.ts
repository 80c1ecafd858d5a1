import {
  Agent as HttpAgent,
  request as httpRequest,
  type ClientRequest,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { WebSocket, type ClientOptions } from 'ws';
import { PinnedAgent } from './pinned.ts';
import type { Server } from './server.ts';

export { createWebSocketStream } from 'ws';
export type { RawData, WebSocket } from 'ws';

/** How long a connection without requests stays open, in milliseconds: shorter than a proxy keeps one. */
const IDLE_MS = 30_000;

/** Connections to a server, which trust only what the server's address and pin allow. */
export type Connections = HttpAgent | HttpsAgent;

/** Opens a pool of connections to a server. @param maxSockets how many it may have at the same time */
export function openConnections({ url, pin }: Server, maxSockets = Infinity): Connections {
  const options = { keepAlive: true, maxSockets, timeout: IDLE_MS };
  if (new URL(url).protocol === 'http:') return new HttpAgent(options);
  return pin === null ? new HttpsAgent(options) : new PinnedAgent(pin, options);
}

/** Begins a request to a path of a server. */
export function openRequest(
  { url }: Server,
  path: string,
  options: Pick<RequestOptions, 'method' | 'headers' | 'signal'> & { agent: Connections },
): ClientRequest {
  const send = new URL(url).protocol === 'https:' ? httpsRequest : httpRequest;
  return send(`${url}${path}`, options);
}

/** Opens a WebSocket at a path of a server. */
export function openWebSocket(
  server: Server,
  path: string,
  options: Pick<ClientOptions, 'headers' | 'handshakeTimeout' | 'maxPayload'>,
): WebSocket {
  const agent = poolOf(server);
  return new WebSocket(`${server.url.replace(/^http/i, 'ws')}${path}`, {
    ...options,
    agent,
    perMessageDeflate: false,
  });
}

/** An answer of a server. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

const pools = new Map<string, Connections>();

/** Returns the pool of all short requests to a server. */
function poolOf(server: Server): Connections {
  const name = `${new URL(server.url).protocol} ${server.pin ?? ''}`;
  const pool = pools.get(name) ?? openConnections(server);
  pools.set(name, pool);
  return pool;
}

/**
 * Sends a short request to a server and reads its whole answer. Redirects are not followed: they could lead a key to
 * another machine.
 * @param options.body sent as JSON; without one the method is GET
 * @throws the error of the connection, see `explainConnection`
 */
export async function ask(
  server: Server,
  path: string,
  options: { headers: Record<string, string>; body?: unknown; timeoutMs: number },
): Promise<Answer> {
  const { headers, body, timeoutMs } = options;
  const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const signal = AbortSignal.timeout(timeoutMs);
  const outgoing = openRequest(server, path, {
    method: sent === undefined ? 'GET' : 'POST',
    headers: {
      Accept: 'application/json',
      ...(sent === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': sent.length }),
      ...headers,
    },
    signal,
    agent: poolOf(server),
  });
  return await new Promise<Answer>((resolve, reject) => {
    outgoing.once('error', (error) => reject(signal.aborted ? (signal.reason as Error) : error));
    outgoing.once('response', (answer) => {
      const answered = new Headers();
      for (const [name, value] of Object.entries(answer.headersDistinct)) {
        for (const each of value ?? []) answered.append(name, each);
      }
      const read = text(answer).then((said) => ({
        status: answer.statusCode ?? 0,
        headers: answered,
        text: said,
      }));
      read.then(resolve, reject);
    });
    outgoing.end(sent);
  });
}
