import { createHash, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import {
  MAX_TUNNEL_MESSAGE_BYTES,
  TUNNEL_SECRET,
  TUNNEL_SECRET_HEADER,
} from '../contract/nodes/engine-tunnel.ts';
import { MembridgeError } from '../contract/errors.ts';
import { KEY_REVOKED, SOCKET_CLOSE } from '../contract/nodes/agent-socket.ts';
import { ByteBudget } from './byte-budget.ts';
import {
  NodeSockets,
  type KeyLookup,
  type KeyedSocket,
  type NodeAccess,
  type Upgrade,
} from './node-sockets.ts';
import { reportRefusals, type Refusal } from './refusals.ts';
import { rightsOf, type Rights } from './rights.ts';
import { TaskTokens } from './task-tokens.ts';
import { openTunnel, type Tunnel } from './tunnel.ts';
import { Upstream } from './upstream.ts';

/** The most tunnels of one node. An agent opens one for each queue that it polls, and one for its leases. */
const MAX_TUNNELS = 64;
/** The most bytes that the calls of one node may hold in memory. */
const MAX_HELD_BYTES = 67_108_864;

/** What the gateway needs from its process. */
export interface GatewayOptions extends KeyLookup {
  /** Temporal's frontend. */
  readonly engine: { readonly address: string; readonly namespace: string };
  /** The control plane's Ed25519 key, from which the key of the task tokens is derived. */
  readonly signingKey: KeyObject;
  /** Receives a refused call, once a minute for each node and method. */
  readonly refused: (refusal: Refusal) => void;
  /** Epoch ms. */
  readonly now: () => number;
}

/** A tunnel with the key that opened it, and the present rights of that key. */
interface KeyedTunnel extends KeyedSocket {
  rights: Rights;
  tunnel: Tunnel | null;
}

/** Accepts the engine tunnels of agents, and lets each node call at Temporal only what concerns itself. */
export class EngineGateway {
  readonly #options: GatewayOptions;
  readonly #tokens: TaskTokens;
  readonly #upstream: Upstream;
  readonly #refused: (node: string, path: string, reason: string) => void;
  readonly #sockets: NodeSockets<KeyedTunnel>;
  /** What the calls of each node with an open tunnel hold in memory. */
  readonly #budgets = new Map<string, ByteBudget>();
  #isClosed = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#sockets = new NodeSockets(options, MAX_TUNNEL_MESSAGE_BYTES);
    this.#tokens = new TaskTokens(options.signingKey);
    this.#upstream = new Upstream(options.engine.address);
    this.#refused = reportRefusals(options.refused, options.now);
  }

  /** Returns how many tunnels are open. */
  get tunnels(): number {
    return this.#sockets.all().length;
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
    if (this.#sockets.of(node).size < MAX_TUNNELS) return hashText(`Bearer ${secret}`);
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
    const { namespace } = this.#options.engine;
    const budget = this.#budgets.get(node) ?? new ByteBudget(MAX_HELD_BYTES);
    this.#budgets.set(node, budget);
    const entry: KeyedTunnel = {
      keyHash,
      rights: rightsOf(node, namespace, labels),
      tunnel: null,
      allow: (access) => {
        const before = entry.rights.queues;
        entry.rights = rightsOf(node, namespace, access.labels);
        // A poll of a withdrawn pool may be open, and only its end keeps it from bringing a task.
        if ([...before].some((queue) => !entry.rights.queues.has(queue))) {
          entry.tunnel?.close(SOCKET_CLOSE.changed, 'the node lost a pool');
        }
      },
      revoke: () => entry.tunnel?.close(SOCKET_CLOSE.revoked, KEY_REVOKED),
    };
    this.#sockets.accept(upgrade, node, entry, {
      opened: (socket) => {
        entry.tunnel = openTunnel(socket, {
          rights: () => entry.rights,
          isAuthorized: (given) => timingSafeEqual(hashText(given ?? ''), secret),
          tokens: this.#tokens,
          upstream: this.#upstream,
          budget,
          refused: (path, reason) => this.#refused(node, path, reason),
        });
      },
      gone: () => {
        if (this.#sockets.of(node).size === 0) this.#budgets.delete(node);
      },
    });
  }

  /** Closes tunnels of these nodes whose key is no longer valid, and gives the others their node's present rights. */
  async recheck(nodes: readonly string[]): Promise<void> {
    await this.#sockets.recheck(nodes);
  }

  /** Does the same for every node, because events may have been missed. */
  async recheckAll(): Promise<void> {
    await this.#sockets.recheckAll();
  }

  /** Closes every tunnel, and the connection to Temporal. */
  close(): void {
    this.#isClosed = true;
    for (const { tunnel } of this.#sockets.all()) tunnel?.close(1_001, 'the control plane stops');
    this.#upstream.close();
  }
}

const hashText = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest();
