import type { RawData, WebSocket } from 'ws';
import { AnsweringFrame, MAX_CALL_ANSWER_BYTES, type AskingFrame } from '../contract/nodes/agent-calls.ts';
import { SOCKET_CLOSE } from '../contract/nodes/agent-socket.ts';
import { MembridgeError } from '../contract/errors.ts';
import { endWhenSilent } from '../engine/end-when-silent.ts';
import { closeSocket } from './close-socket.ts';
import { NodeProblem } from './node-problem.ts';

/** A call to a node. */
export interface NodeCall {
  readonly name: string;
  readonly input: unknown;
  /** How long the caller waits, in milliseconds. */
  readonly deadlineMs: number;
  /** Aborted when the caller left. */
  readonly signal: AbortSignal;
  /** Called with each piece as it comes. By default the pieces are collected. */
  readonly piece?: (text: string) => void;
}

/** A call that waits for its answer. */
interface Waiting {
  readonly pieces: string[];
  bytes: number;
  readonly piece: ((text: string) => void) | undefined;
  done(text: string): void;
  failed(error: MembridgeError): void;
}

/** The WebSocket on which one agent answers calls. */
export class CallSocket {
  readonly #node: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  /** How many bytes of abandoned answers may still arrive. */
  #mayIgnore = 0;
  #end: string | null = null;

  constructor(node: string, socket: WebSocket) {
    this.#node = node;
    this.#socket = socket;
    endWhenSilent(socket);
    socket.on('error', () => socket.terminate());
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.once('close', () => this.#fail('its connection broke'));
  }

  /** Whether it can carry a call. */
  get isOpen(): boolean {
    return this.#end === null && this.#socket.readyState === this.#socket.OPEN;
  }

  /** Returns how many calls wait for an answer. */
  get calls(): number {
    return this.#waiting.size;
  }

  /**
   * Asks the node, and waits for the whole answer.
   * @returns the JSON text of the answer
   * @throws MembridgeError call_timeout; node_unreachable when the socket closes; call_failed for an answer that is
   * too large; conflict when the caller left; NodeProblem with what the node reported
   */
  async ask({ name, input, deadlineMs, signal, piece }: NodeCall): Promise<string> {
    if (!this.isOpen) throw this.#unreachable(this.#end ?? 'its connection closes');
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#waiting.set(id, { pieces: [], bytes: 0, piece, done: resolve, failed: reject });
    const left = (): void => {
      this.#abandon(
        id,
        new MembridgeError('conflict', `The caller left; node ${this.#node} stops the call.`),
      );
    };
    const late = setTimeout(() => {
      const seconds = Math.round(deadlineMs / 1_000);
      const message = `Node ${this.#node} did not answer "${name}" within ${seconds} s. The call was cancelled there.`;
      this.#abandon(id, new MembridgeError('call_timeout', message));
    }, deadlineMs);
    signal.addEventListener('abort', left, { once: true });
    if (signal.aborted) left();
    else this.#send({ type: 'call', id, name, input, deadline_ms: deadlineMs });
    try {
      return await promise;
    } finally {
      clearTimeout(late);
      signal.removeEventListener('abort', left);
      this.#waiting.delete(id);
    }
  }

  /** @param reason ends the sentence "Node x did not finish the call: …" */
  close(code: number, reason: string): void {
    this.#fail(reason);
    closeSocket(this.#socket, code, reason);
  }

  /** Fails every call that waits, and takes no other. */
  #fail(reason: string): void {
    if (this.#end !== null) return;
    this.#end = reason;
    for (const waiting of this.#waiting.values()) waiting.failed(this.#unreachable(reason));
    this.#waiting.clear();
  }

  #unreachable(reason: string): MembridgeError {
    return new MembridgeError(
      'node_unreachable',
      `Node ${this.#node} did not finish the call: ${reason}. Ask again when the node is online.`,
    );
  }

  /** Cancels a call on the node. The rest of its answer may be on the way. */
  #abandon(id: number, error: MembridgeError): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    this.#mayIgnore += MAX_CALL_ANSWER_BYTES;
    this.#send({ type: 'cancel', id });
    waiting.failed(error);
  }

  #send(frame: AskingFrame): void {
    if (this.isOpen) this.#socket.send(JSON.stringify(frame));
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#end !== null) return;
    // ws gives one Buffer for each message unless it is asked for something else.
    const bytes = data as Buffer;
    const frame = isBinary ? null : readFrame(bytes);
    // Ids that were never given out are forged.
    if (frame === null || frame.id > this.#lastId)
      return this.close(SOCKET_CLOSE.broken, 'it sent a broken frame');
    const waiting = this.#waiting.get(frame.id);
    if (waiting === undefined) {
      this.#mayIgnore -= bytes.length;
      if (this.#mayIgnore < 0) this.close(SOCKET_CLOSE.broken, 'it answered what nobody asked');
      return;
    }
    if (frame.type === 'problem') {
      this.#waiting.delete(frame.id);
      return waiting.failed(new NodeProblem(this.#node, frame.code, frame.message));
    }
    if (frame.type === 'piece' && waiting.piece !== undefined) return waiting.piece(frame.text);
    waiting.bytes += Buffer.byteLength(frame.text);
    if (waiting.bytes > MAX_CALL_ANSWER_BYTES) {
      const message = `The answer of node ${this.#node} has more than ${MAX_CALL_ANSWER_BYTES} bytes, the most that is passed on.`;
      return this.#abandon(frame.id, new MembridgeError('call_failed', message));
    }
    waiting.pieces.push(frame.text);
    if (frame.type === 'piece') return;
    this.#waiting.delete(frame.id);
    waiting.done(waiting.pieces.join(''));
  }
}

function readFrame(bytes: Buffer): AnsweringFrame | null {
  try {
    return AnsweringFrame.safeParse(JSON.parse(bytes.toString('utf8'))).data ?? null;
  } catch {
    return null;
  }
}
