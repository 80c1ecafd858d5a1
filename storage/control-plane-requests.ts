import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { LEADERSHIP_EPOCH_HEADER, NO_OBJECT_HEADER, SHA256_HEADER } from '../contract/nodes/agent-store.ts';
import { ERRORS, MembridgeError, errorMessage } from '../contract/errors.ts';
import { openConnections, openRequest, type Connections } from '../transport/requests.ts';
import type { Server } from '../transport/server.ts';
import { explainConnection } from '../transport/tls-problem.ts';
import { PROTOCOL, PROTOCOL_HEADER, readProtocol, refusalOfServer } from '../contract/nodes/protocol.ts';

/** How an agent accesses objects through the control plane. */
export interface ControlPlaneAccess {
  readonly server: Server;
  /** The node's own key. */
  readonly agent_key: string;
  /** The leadership epoch in which a primary writes a mirror. */
  readonly epoch?: number;
}

/** A body to upload; `sha256` is lower-case hex. */
export interface Upload {
  readonly content: Buffer | Readable;
  readonly size: number;
  readonly sha256: string;
}

/** A request for a key or prefix. */
interface StoreCall {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  readonly path: string;
  /** The operation and its object, for messages: "put", "projects/…". */
  readonly verb: string;
  readonly target: string;
  /** Ends the request, even while its response is being read. */
  readonly signal: AbortSignal;
  readonly upload?: Upload;
}

/** Requests for objects to a control plane, on dedicated connections. */
export class ControlPlaneRequests {
  readonly #access: ControlPlaneAccess;
  readonly #agent: Connections;

  /** @param maxSockets maximum number of connections */
  constructor(access: ControlPlaneAccess, maxSockets = 8) {
    this.#access = access;
    this.#agent = openConnections(access.server, maxSockets);
  }

  /**
   * Sends a request and reads its response.
   * @param read reads the body of a success; an error from it counts as a broken connection
   * @returns null when the control plane reports that the object does not exist
   * @throws MembridgeError store_unavailable for the network, a deadline, a 5xx, and a response that is not a
   * control plane's; store_refused for any other refusal
   */
  async send<T>(call: StoreCall, read: (answer: IncomingMessage) => Promise<T>): Promise<T | null> {
    try {
      const answer = await this.#exchange(call);
      const status = answer.statusCode ?? 0;
      if (status >= 200 && status < 300 && isOfControlPlane(answer)) return await read(answer);
      const said = call.method === 'HEAD' ? '' : await text(answer);
      if (status === 404 && answer.headers[NO_OBJECT_HEADER.toLowerCase()] !== undefined) return null;
      throw this.#toRefusal(call, answer, said);
    } catch (error) {
      if (error instanceof MembridgeError) throw error;
      const reason = call.signal.aborted
        ? errorMessage(call.signal.reason)
        : explainConnection(error, this.#access.server);
      throw this.#toFailure('store_unavailable', call, reason, error);
    }
  }

  /** Closes open connections. */
  close(): void {
    this.#agent.destroy();
  }

  /**
   * Sends a request, and sends it again when a kept connection turns out to be closed: a proxy may close one at
   * any time. Every method here may be repeated. A stream cannot be, so it needs a connection of its own.
   */
  async #exchange(call: StoreCall): Promise<IncomingMessage> {
    for (;;) {
      const outgoing = this.#open(call);
      try {
        return await this.#sendBody(outgoing, call.upload);
      } catch (error) {
        const repeatable = call.upload === undefined || Buffer.isBuffer(call.upload.content);
        // Each repetition takes a connection out of the pool, so the last one is new.
        if (!repeatable || !outgoing.reusedSocket || call.signal.aborted || !isClosedConnection(error))
          throw error;
      }
    }
  }

  #open({ method, path, signal, upload }: StoreCall): ClientRequest {
    const { server, agent_key: agentKey, epoch } = this.#access;
    const headers: Record<string, string> = {
      'X-MEMBRIDGE-AGENT': agentKey,
      [PROTOCOL_HEADER]: String(PROTOCOL),
      ...(epoch === undefined ? {} : { [LEADERSHIP_EPOCH_HEADER]: String(epoch) }),
    };
    if (upload !== undefined) {
      headers['Content-Type'] = 'application/octet-stream';
      headers['Content-Length'] = String(upload.size);
      headers[SHA256_HEADER] = upload.sha256;
    }
    return openRequest(server, path, { method, headers, agent: this.#agent, signal });
  }

  async #sendBody(outgoing: ClientRequest, upload: Upload | undefined): Promise<IncomingMessage> {
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      // A refusal may arrive before the whole body is sent.
      outgoing.once('response', resolve);
      outgoing.on('error', reject);
    });
    if (upload === undefined || Buffer.isBuffer(upload.content)) outgoing.end(upload?.content);
    else {
      const sending = pipeline(upload.content, outgoing);
      return await Promise.race([answered, sending.then(() => answered)]);
    }
    return await answered;
  }

  #toRefusal(call: StoreCall, answer: IncomingMessage, said: string): MembridgeError {
    const { server } = this.#access;
    const status = answer.statusCode ?? 0;
    if (!isOfControlPlane(answer)) {
      const reason =
        status === 413
          ? 'a proxy in between takes no body of this size; raise its limit (nginx: client_max_body_size 0)'
          : `something else answered ${status}: a proxy, or a control plane that is older than this agent or still starts`;
      return this.#toFailure('store_unavailable', call, reason);
    }
    const tooOld = refusalOfServer(readProtocol(protocolOf(answer)), server.url);
    if (tooOld !== null) return this.#toFailure('store_unavailable', call, tooOld);
    const { code, detail } = problemOf(said);
    const isPassing = Object.hasOwn(ERRORS, code)
      ? ERRORS[code as keyof typeof ERRORS].retryable
      : status >= 500 || status === 429;
    const reason = detail === '' ? `it answered ${status}` : detail;
    return this.#toFailure(isPassing ? 'store_unavailable' : 'store_refused', call, reason);
  }

  #toFailure(
    code: 'store_unavailable' | 'store_refused',
    { verb, target }: StoreCall,
    reason: string,
    cause?: unknown,
  ): MembridgeError {
    const where = `the control plane at ${this.#access.server.url}`;
    const what = code === 'store_refused' ? 'refused to' : 'could not';
    return new MembridgeError(code, `The object store behind ${where} ${what} ${verb} ${target}: ${reason}`, {
      cause,
    });
  }
}

/**
 * Returns whether a control plane sent the response: only it names its protocol on these paths, so a proxy's
 * page never passes for an object.
 */
const isOfControlPlane = (answer: IncomingMessage): boolean => protocolOf(answer) !== undefined;

function isClosedConnection(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ECONNRESET' || code === 'EPIPE';
}

function protocolOf({ headers }: IncomingMessage): string | undefined {
  return headers[PROTOCOL_HEADER.toLowerCase()]?.toString();
}

function problemOf(said: string): { code: string; detail: string } {
  try {
    const { code, detail } = JSON.parse(said) as { code?: unknown; detail?: unknown };
    return { code: String(code), detail: typeof detail === 'string' ? detail : '' };
  } catch {
    return { code: '', detail: '' };
  }
}
