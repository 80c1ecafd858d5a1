import { createHash, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import {
  MAX_TUNNEL_MESSAGE_BYTES,
  TUNNEL_CLOSE,
  TUNNEL_SECRET,
  TUNNEL_SECRET_HEADER,
} from '../contract/nodes/engine-tunnel.ts';
import { MembridgeError } from '../contract/errors.ts';
import { ByteBudget } from './byte-budget.ts';
import { reportRefusals, type Refusal } from './refusals.ts';
import { rightsOf, type Rights } from './rights.ts';
import { TaskTokens } from './task-tokens.ts';
import { openTunnel, type Tunnel } from './tunnel.ts';
import { Upstream } from './upstream.ts';

/** The most tunnels of one node. An agent opens one for each queue that it polls, and one for its leases. */
const MAX_TUNNELS = 64;
/** The most bytes that the calls of one node may hold in memory. */
const MAX_HELD_BYTES = 67_108_864;

/** Pause before a failed look-up of a node's access is repeated, in milliseconds. */
const RECHECK_MS = 2_000;

/** The access of a node's valid key. */
export interface NodeAccess {
  readonly node: string;
  /** Pools that the node serves besides the default one. */
  readonly labels: readonly string[];
}

/** What the gateway needs from its process. */
export interface GatewayOptions {
  /** Temporal's frontend. */
  readonly engine: { readonly address: string; readonly namespace: string };
  /** The control plane's Ed25519 key, from which the key of the task tokens is derived. */
  readonly signingKey: KeyObject;
  /** Finds the node of a key; null when no node has it now. */
  readonly findAccess: (keyHash: string) => Promise<NodeAccess | null>;
  /** Receives a refused call, once a minute for each node and method. */
  readonly refused: (refusal: Refusal) => void;
  /** Called when a node's access could not be looked up. */
  readonly failed: (node: string, error: unknown) => void;
  /** Epoch ms. */
  readonly now: () => number;
}

/** All open tunnels of one node. */
interface NodeTunnels {
  readonly budget: ByteBudget;
  readonly open: Set<KeyedTunnel>;
}

/** A tunnel with the key that opened it, and the present rights of that key. */
interface KeyedTunnel {
  readonly keyHash: string;
  rights: Rights;
  tunnel: Tunnel | null;
}

/** An accepted upgrade request. */
export interface Upgrade {
  readonly req: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** Accepts the engine tunnels of agents, and lets each node call at Temporal only what concerns itself. */
export class EngineGateway {
  readonly #options: GatewayOptions;
  readonly #tokens: TaskTokens;
  readonly #upstream: Upstream;
  readonly #refused: (node: string, path: string, reason: string) => void;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_TUNNEL_MESSAGE_BYTES,
  });
  readonly #nodes = new Map<string, NodeTunnels>();
  #isClosed = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#tokens = new TaskTokens(options.signingKey);
    this.#upstream = new Upstream(options.engine.address);
    this.#refused = reportRefusals(options.refused, options.now);
  }

  /** Returns how many tunnels are open. */
  get tunnels(): number {
    return [...this.#nodes.values()].reduce((sum, { open }) => sum + open.size, 0);
  }

  /**
   * Checks a request for a tunnel before its WebSocket opens.
   * @returns the digest of its secret
   * @throws MembridgeError bad_request without a usable secret; too_many_requests; engine_unavailable while this
   * process stops
   */
  admit(node: string, req: IncomingMessage): Buffer {
    if (this.#isClosed) {
      throw new MembridgeError(
        'engine_unavailable',
        'This control plane stops; connect again in a few seconds.',
      );
    }
    const secret = req.headers[TUNNEL_SECRET_HEADER.toLowerCase()];
    if (typeof secret !== 'string' || !TUNNEL_SECRET.test(secret)) {
      throw new MembridgeError(
        'bad_request',
        `${TUNNEL_SECRET_HEADER} must have 32 to 128 characters of base64url: the secret that every call carries.`,
      );
    }
    if ((this.#nodes.get(node)?.open.size ?? 0) < MAX_TUNNELS) return hashText(`Bearer ${secret}`);
    throw new MembridgeError(
      'too_many_requests',
      `Node ${node} has ${MAX_TUNNELS} open engine tunnels, which is the limit. Look for a second agent with the same key.`,
    );
  }

  /**
   * Opens the WebSocket of a request that `admit` accepted, and serves it.
   * @param by the node and the hash of the key that it used
   */
  accept(upgrade: Upgrade, by: NodeAccess & { keyHash: string }, secret: Buffer): void {
    const { node, keyHash, labels } = by;
    const of = this.#nodes.get(node) ?? { budget: new ByteBudget(MAX_HELD_BYTES), open: new Set() };
    this.#nodes.set(node, of);
    const entry: KeyedTunnel = {
      keyHash,
      rights: rightsOf(node, this.#options.engine.namespace, labels),
      tunnel: null,
    };
    const gone = (): void => {
      // Both the WebSocket and the connection below it report the end.
      if (of.open.delete(entry) && of.open.size === 0) this.#nodes.delete(node);
    };
    of.open.add(entry);
    // The library answers a request that is no complete WebSocket handshake, and its socket ends.
    upgrade.socket.once('close', gone);
    this.#sockets.handleUpgrade(upgrade.req, upgrade.socket, upgrade.head, (socket) => {
      entry.tunnel = openTunnel(
        socket,
        {
          rights: () => entry.rights,
          isAuthorized: (given) => timingSafeEqual(hashText(given ?? ''), secret),
          tokens: this.#tokens,
          upstream: this.#upstream,
          budget: of.budget,
          refused: (path, reason) => this.#refused(node, path, reason),
        },
        gone,
      );
    });
    // The node may have been removed between the check of its key and this moment, in which the tunnel gets no event.
    void this.recheck(node);
  }

  /** Closes the tunnels of a node whose key is no longer valid, and gives the others the node's present rights. */
  async recheck(node: string): Promise<void> {
    const of = this.#nodes.get(node);
    if (of === undefined) return;
    for (const keyHash of new Set([...of.open].map((entry) => entry.keyHash))) {
      let access: NodeAccess | null;
      try {
        access = await this.#options.findAccess(keyHash);
      } catch (error) {
        this.#options.failed(node, error);
        setTimeout(() => void this.recheck(node), RECHECK_MS).unref();
        continue;
      }
      for (const entry of of.open) {
        if (entry.keyHash !== keyHash) continue;
        if (access?.node === node) {
          const before = entry.rights;
          entry.rights = rightsOf(node, this.#options.engine.namespace, access.labels);
          const { queues } = entry.rights;
          // A poll of a withdrawn pool may be open, and only its end keeps it from bringing a task.
          if ([...before.queues].some((queue) => !queues.has(queue))) {
            entry.tunnel?.close(TUNNEL_CLOSE.changed, 'it lost a pool');
          }
        } else {
          entry.tunnel?.close(TUNNEL_CLOSE.revoked, 'this key is no longer valid');
        }
      }
    }
  }

  /** Does the same for every node, because events may have been missed. */
  async recheckAll(): Promise<void> {
    for (const node of this.#nodes.keys()) await this.recheck(node);
  }

  /** Closes every tunnel, and the connection to Temporal. */
  close(): void {
    this.#isClosed = true;
    for (const { open } of this.#nodes.values()) {
      for (const entry of open) entry.tunnel?.close(1_001, 'the control plane stops');
    }
    this.#upstream.close();
  }
}

const hashText = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest();
