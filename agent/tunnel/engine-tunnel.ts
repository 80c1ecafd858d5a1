import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createWebSocketStream } from '../../transport/requests.ts';
import {
  ENGINE_TUNNEL_PATH,
  MAX_TUNNEL_MESSAGE_BYTES,
  TUNNEL_SECRET_HEADER,
} from '../../contract/nodes/engine-tunnel.ts';
import { openAgentSocket, type AgentSocketOptions } from './agent-socket.ts';
import { Outage } from './outage.ts';
import type { Server } from '../../transport/server.ts';

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
  readonly #socket: AgentSocketOptions;
  readonly #outage: Outage;
  readonly #sockets = new Set<Socket>();
  readonly #closed = new AbortController();

  constructor({ server, agentKey, report }: TunnelOptions, secret: string) {
    this.#outage = new Outage(report);
    this.#socket = {
      server,
      agentKey,
      path: ENGINE_TUNNEL_PATH,
      purpose: { name: 'engine tunnel', ifOld: 'Upgrade it, or set MEMBRIDGE_AGENT_ENGINE=direct.' },
      maxMessageBytes: MAX_TUNNEL_MESSAGE_BYTES,
      headers: { [TUNNEL_SECRET_HEADER]: secret },
    };
  }

  async carry(local: Socket): Promise<void> {
    this.#sockets.add(local);
    local.on('error', () => local.destroy());
    local.once('close', () => this.#sockets.delete(local));
    const { signal } = this.#closed;
    await sleep(this.#outage.pauseMs(), undefined, { signal }).catch(() => undefined);
    if (local.destroyed || signal.aborted) return void local.destroy();
    // The worker may end connections whenever it likes; only an end on the other side is a failure.
    let isOver = false;
    const remote = openAgentSocket(this.#socket, {
      opened: () => {
        // The worker may have gone a moment ago; its close event is still to come, and ends the other side.
        if (local.destroyed) return;
        this.#outage.worked();
        const duplex = createWebSocketStream(remote);
        pipeline(local, duplex, local, () => local.destroy());
      },
      failed: (problem) => {
        if (!isOver && !signal.aborted) this.#outage.failed(problem);
        local.destroy();
      },
    });
    local.once('close', () => {
      isOver = true;
      remote.terminate();
    });
  }

  close(): void {
    this.#closed.abort();
    for (const socket of this.#sockets) socket.destroy();
  }
}
