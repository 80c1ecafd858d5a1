import { MembridgeError } from '../contract/errors.ts';
import { MAX_CALL_FRAME_BYTES, MAX_CALLS_AT_ONCE, MAX_LOGS_AT_ONCE } from '../contract/nodes/agent-calls.ts';
import { KEY_REVOKED, SOCKET_CLOSE } from '../contract/nodes/agent-socket.ts';
import { CallSocket } from './call-socket.ts';
import { NodeSockets, type KeyLookup, type KeyedSocket, type Upgrade } from './node-sockets.ts';

/**
 * The most sockets of one node. An agent opens one; a former one of a machine that lost its network is found dead
 * after a minute.
 */
const MAX_SOCKETS = 8;
/** The most calls of one socket that wait for an answer. A node refuses more than it works on; a hostile one may not. */
const MAX_WAITING = MAX_CALLS_AT_ONCE + MAX_LOGS_AT_ONCE;

interface KeyedCallSocket extends KeyedSocket {
  calls: CallSocket | null;
}

/** Accepts the WebSockets on which agents answer calls, and passes calls of people on to them. */
export class NodeCalls {
  readonly #sockets: NodeSockets<KeyedCallSocket>;
  #isClosed = false;

  constructor(lookup: KeyLookup) {
    this.#sockets = new NodeSockets(lookup, MAX_CALL_FRAME_BYTES);
  }

  /**
   * Checks a request for a WebSocket before it opens.
   * @throws MembridgeError too_many_requests; node_unreachable while this process stops
   */
  admit(node: string): void {
    if (this.#isClosed) {
      throw new MembridgeError(
        'node_unreachable',
        'This control plane stops; connect again in a few seconds.',
      );
    }
    if (this.#sockets.of(node).size < MAX_SOCKETS) return;
    throw new MembridgeError(
      'too_many_requests',
      `Node ${node} has ${MAX_SOCKETS} open sockets for calls, which is the limit. Look for a second agent with the same key.`,
    );
  }

  /** Opens the WebSocket of a request that `admit` accepted. */
  accept(upgrade: Upgrade, { node, keyHash }: { node: string; keyHash: string }): void {
    const entry: KeyedCallSocket = {
      keyHash,
      calls: null,
      allow: () => undefined,
      revoke: () => entry.calls?.close(SOCKET_CLOSE.revoked, KEY_REVOKED),
    };
    this.#sockets.accept(upgrade, node, entry, {
      opened: (socket) => {
        entry.calls = new CallSocket(node, socket);
      },
    });
  }

  /**
   * Returns the socket on which a node answers now; null when it has none here.
   * @throws MembridgeError too_many_requests when too many calls wait for the node
   */
  find(node: string): Pick<CallSocket, 'ask'> | null {
    // The newest: an older one may belong to a connection that broke without a word.
    const calls =
      [...this.#sockets.of(node)].findLast((entry) => entry.calls?.isOpen === true)?.calls ?? null;
    if (calls === null || calls.calls < MAX_WAITING) return calls;
    throw new MembridgeError(
      'too_many_requests',
      `Node ${node} is busy with ${MAX_WAITING} calls. Ask again when one has ended.`,
    );
  }

  /** Closes sockets of these nodes whose key is no longer valid. */
  async recheck(nodes: readonly string[]): Promise<void> {
    await this.#sockets.recheck(nodes);
  }

  /** Does the same for every node, because events may have been missed. */
  async recheckAll(): Promise<void> {
    await this.#sockets.recheckAll();
  }

  /** Closes every socket. Calls that wait fail. */
  close(): void {
    this.#isClosed = true;
    for (const { calls } of this.#sockets.all()) calls?.close(1_001, 'the control plane stops');
  }
}
