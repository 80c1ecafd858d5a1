import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';

/** Pause before a failed look-up of a node's access is repeated, in milliseconds. */
const RECHECK_MS = 2_000;

/** The access of a node's valid key. */
export interface NodeAccess {
  readonly node: string;
  /** Pools that the node serves besides the default one. */
  readonly labels: readonly string[];
}

/** How the sockets of nodes follow the keys of the fleet. */
export interface KeyLookup {
  /** Finds the nodes of keys, by key hash. A key that no node has now is not in the answer. */
  readonly findAccess: (keyHashes: readonly string[]) => Promise<ReadonlyMap<string, NodeAccess>>;
  /** Called when the access of nodes could not be looked up. */
  readonly failed: (nodes: readonly string[], error: unknown) => void;
}

/** An accepted upgrade request. */
export interface Upgrade {
  readonly req: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** A socket with the key that opened it. */
export interface KeyedSocket {
  /** SHA-256 of the key, in hex. */
  readonly keyHash: string;
  /** Called with the present access of the key. */
  allow(access: NodeAccess): void;
  /** Called when the key is no longer valid. */
  revoke(): void;
}

/** The open sockets of all nodes. Each follows the key that opened it. */
export class NodeSockets<S extends KeyedSocket> {
  readonly #lookup: KeyLookup;
  readonly #server: WebSocketServer;
  readonly #nodes = new Map<string, Set<S>>();

  /** @param maxMessageBytes the most bytes of one WebSocket message */
  constructor(lookup: KeyLookup, maxMessageBytes: number) {
    this.#lookup = lookup;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: maxMessageBytes,
    });
  }

  /** Returns the open sockets of a node, the oldest first. */
  of(node: string): ReadonlySet<S> {
    return this.#nodes.get(node) ?? new Set();
  }

  /** Returns the open sockets of all nodes. */
  all(): S[] {
    return [...this.#nodes.values()].flatMap((open) => [...open]);
  }

  /**
   * Opens the WebSocket of a request, and counts it until it ends.
   * @param opened called with the WebSocket
   * @param gone called once when the connection has ended
   */
  accept(
    upgrade: Upgrade,
    node: string,
    entry: S,
    on: { opened(socket: WebSocket): void; gone?(): void },
  ): void {
    const open = this.#nodes.get(node) ?? new Set();
    this.#nodes.set(node, open.add(entry));
    // The library answers a request that is no complete WebSocket handshake, and its socket ends.
    upgrade.socket.once('close', () => {
      open.delete(entry);
      if (open.size === 0) this.#nodes.delete(node);
      on.gone?.();
    });
    this.#server.handleUpgrade(upgrade.req, upgrade.socket, upgrade.head, (socket) => on.opened(socket));
    // The node may have been removed between the check of its key and this moment, in which the socket gets no event.
    void this.recheck([node]);
  }

  /** Closes sockets of these nodes whose key is no longer valid, and gives the others their node's present access. */
  async recheck(nodes: readonly string[]): Promise<void> {
    const keyHashes = nodes.flatMap((node) => [...this.of(node)].map((entry) => entry.keyHash));
    if (keyHashes.length === 0) return;
    let access: ReadonlyMap<string, NodeAccess>;
    try {
      access = await this.#lookup.findAccess([...new Set(keyHashes)]);
    } catch (error) {
      this.#lookup.failed(nodes, error);
      setTimeout(() => void this.recheck(nodes), RECHECK_MS).unref();
      return;
    }
    const checked = new Set(keyHashes);
    for (const node of nodes) {
      for (const entry of this.of(node)) {
        // A socket that opened during the look-up has its own.
        if (!checked.has(entry.keyHash)) continue;
        const present = access.get(entry.keyHash);
        if (present?.node === node) entry.allow(present);
        else entry.revoke();
      }
    }
  }

  /** Does the same for every node, because events may have been missed. */
  async recheckAll(): Promise<void> {
    await this.recheck([...this.#nodes.keys()]);
  }
}
