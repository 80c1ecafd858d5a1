import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  connect,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import proto from '@temporalio/proto';
import { WebSocket, createWebSocketStream } from 'ws';
import { ENGINE_TUNNEL_PATH, TUNNEL_SECRET_HEADER } from '../../contract/nodes/engine-tunnel.ts';
import { agentIdentity } from '../../contract/names.ts';

const SERVICE = '/temporal.api.workflowservice.v1.WorkflowService/';

/** How a call ended. */
export interface CallEnd {
  /** gRPC status, or null where the stream ended without one. */
  readonly status: number | null;
  readonly message: string;
  readonly body: Buffer;
}

/** A tunnel whose calls a test makes byte by byte, as somebody with a stolen key would. */
export interface TunnelClient {
  readonly socket: WebSocket;
  readonly session: ClientHttp2Session;
  /** Starts a call without its body. */
  begin(method: string, headers?: OutgoingHttpHeaders): ClientHttp2Stream;
  /** Calls a method of WorkflowService, or a path that begins with a slash. */
  call(method: string, message: Uint8Array, headers?: OutgoingHttpHeaders): Promise<CallEnd>;
  /** Sends a body as it is. */
  send(method: string, body: Buffer, headers?: OutgoingHttpHeaders): Promise<CallEnd>;
  close(): void;
}

/** Wraps a message in a gRPC frame. */
export function frame(message: Uint8Array, isCompressed = false, length = message.length): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt8(isCompressed ? 1 : 0, 0);
  header.writeUInt32BE(length, 1);
  return Buffer.concat([header, message]);
}

/** Encodes a poll of a queue for activities. @param rest fields that differ from those of an agent */
export function pollRequest(namespace: string, node: string, queue: string, rest: object = {}): Uint8Array {
  const request = { namespace, identity: agentIdentity(node, 1), taskQueue: { name: queue }, ...rest };
  return proto.temporal.api.workflowservice.v1.PollActivityTaskQueueRequest.encode(request).finish();
}

/** Opens only the WebSocket of a tunnel. */
export function openSocket(
  serverUrl: string,
  key: string,
  secret: string = randomBytes(32).toString('base64url'),
): WebSocket {
  return new WebSocket(`${serverUrl.replace(/^http/, 'ws')}${ENGINE_TUNNEL_PATH}`, {
    headers: { 'X-MEMBRIDGE-AGENT': key, [TUNNEL_SECRET_HEADER]: secret },
    perMessageDeflate: false,
  });
}

/** Opens a tunnel with a node's key. */
export async function openTunnelClient(serverUrl: string, key: string): Promise<TunnelClient> {
  const secret = randomBytes(32).toString('base64url');
  const authorization = `Bearer ${secret}`;
  const socket = openSocket(serverUrl, key, secret);
  // Created before the socket opens: the gateway speaks first, and may do so in the same packet.
  const duplex = createWebSocketStream(socket);
  duplex.on('error', () => undefined);
  await once(socket, 'open');
  const session = connect('http://tunnel', { createConnection: () => duplex });
  session.on('error', () => undefined);
  const begin: TunnelClient['begin'] = (method, headers = {}) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': method.startsWith('/') ? method : `${SERVICE}${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization,
      ...headers,
    });
    stream.on('error', () => undefined);
    return stream;
  };
  const send: TunnelClient['send'] = async (method, body, headers) => {
    const stream = begin(method, headers);
    const received: IncomingHttpHeaders = {};
    const pieces: Buffer[] = [];
    stream.on('response', (answered) => Object.assign(received, answered));
    stream.on('trailers', (trailers) => Object.assign(received, trailers));
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    stream.end(body);
    // A refused call gets its answer while its body may still wait to be sent.
    await new Promise((resolve) => stream.once('end', resolve).once('close', resolve));
    const status = received['grpc-status'];
    return {
      status: status === undefined ? null : Number(status),
      message: decodeURIComponent(received['grpc-message']?.toString() ?? ''),
      body: Buffer.concat(pieces),
    };
  };
  return {
    socket,
    session,
    begin,
    send,
    call: async (method, message, headers) => await send(method, frame(message), headers),
    close: () => socket.terminate(),
  };
}
