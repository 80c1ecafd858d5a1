import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ENGINE_TUNNEL_PATH,
  MAX_TUNNEL_MESSAGE_BYTES,
  TUNNEL_SECRET_HEADER,
} from '../../contract/nodes/engine-tunnel.ts';
import { PROTOCOL, PROTOCOL_HEADER } from '../../contract/nodes/protocol.ts';
import { endWhenSilent } from '../../engine/end-when-silent.ts';
import { createWebSocketStream, openWebSocket } from '../../transport/requests.ts';
import type { Server } from '../../transport/server.ts';
import { explainConnection } from '../../transport/tls-problem.ts';
import { pauseBeforeTry } from './pause.ts';
import { readRefusal } from './refusal.ts';

/** How long the control plane may take to open a WebSocket, in milliseconds. */
const OPEN_WITHIN_MS = 10_000;
/** Local connections at the same time; the gateway accepts as many from one node. */
const MAX_CONNECTIONS = 64;

/** The options of a tunnel. */
export interface TunnelOptions {
  readonly server: Server;
  /** The node's own key. */
  readonly agentKey: string;
  /** Called with why the tunnel does not work, and with null once it works again. */
  readonly report: (problem: string | null) => void;
}

/** A connection to Temporal through the control plane. */
export interface EngineTunnel {
  /** host:port on loopback that stands in for Temporal. */
  readonly address: string;
  /** The bearer token that every call must carry: other users of this machine can reach the port too. */
  readonly secret: string;
  /** Ends every connection. */
  close(): void;
}

/**
 * Listens on a free loopback port, and carries each connection to the control plane in its own WebSocket. While the
 * control plane is away, a new connection waits a little, then ends; the SDK opens another.
 */
export async function openEngineTunnel(options: TunnelOptions): Promise<EngineTunnel> {
  const secret = randomBytes(32).toString('base64url');
  const carrier = new Carrier(options, secret);
  const server = createServer(
    { noDelay: true, pauseOnConnect: true },
    (socket) => void carrier.carry(socket),
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    secret,
    close: () => {
      server.close();
      carrier.close();
    },
  };
}

/** Carries local connections, and remembers whether the control plane answered recently. */
class Carrier {
  readonly #options: TunnelOptions;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #sockets = new Set<Socket>();
  readonly #closed = new AbortController();
  /** When tries began to fail, by the monotonic clock in milliseconds; null while they succeed. */
  #failingSince: number | null = null;
  #problem: string | null = null;

  constructor(options: TunnelOptions, secret: string) {
    this.#options = options;
    this.#headers = {
      'X-MEMBRIDGE-AGENT': options.agentKey,
      [TUNNEL_SECRET_HEADER]: secret,
      [PROTOCOL_HEADER]: String(PROTOCOL),
    };
  }

  async carry(local: Socket): Promise<void> {
    this.#sockets.add(local);
    local.on('error', () => local.destroy());
    local.once('close', () => this.#sockets.delete(local));
    const outage = this.#failingSince === null ? null : performance.now() - this.#failingSince;
    const pause = pauseBeforeTry(outage, Math.random());
    await sleep(pause, undefined, { signal: this.#closed.signal }).catch(() => undefined);
    if (local.destroyed || this.#closed.signal.aborted) return void local.destroy();
    const { server } = this.#options;
    const remote = openWebSocket(server, ENGINE_TUNNEL_PATH, {
      headers: this.#headers,
      handshakeTimeout: OPEN_WITHIN_MS,
      maxPayload: MAX_TUNNEL_MESSAGE_BYTES,
    });
    // The worker may end connections whenever it likes; only an end on the other side is a failure.
    let isOver = false;
    local.once('close', () => {
      isOver = true;
      remote.terminate();
    });
    const failed = (problem: string): void => {
      if (!isOver) this.#failed(problem);
      local.destroy();
    };
    remote.once('unexpected-response', (_request, response: IncomingMessage) => {
      void readRefusal(response, server.url).then(failed);
    });
    remote.on('error', (error) =>
      failed(`The control plane at ${server.url} does not answer: ${explainConnection(error, server)}`),
    );
    remote.once('open', () => {
      // The worker may have gone a moment ago; its close event is still to come, and ends the other side.
      if (local.destroyed) return;
      this.#worked();
      endWhenSilent(remote);
      const duplex = createWebSocketStream(remote);
      pipeline(local, duplex, local, () => local.destroy());
    });
    remote.once('close', (code, reason) =>
      failed(`The control plane closed the engine tunnel (${code} ${reason.toString()}).`),
    );
  }

  close(): void {
    this.#closed.abort();
    for (const socket of this.#sockets) socket.destroy();
  }

  #worked(): void {
    this.#failingSince = null;
    if (this.#problem === null) return;
    this.#problem = null;
    this.#options.report(null);
  }

  #failed(problem: string): void {
    if (this.#closed.signal.aborted) return;
    this.#failingSince ??= performance.now();
    if (this.#problem !== null) return;
    this.#problem = problem;
    this.#options.report(problem);
  }
}
