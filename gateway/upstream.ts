import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { MembridgeError } from '../contract/errors.ts';
import { readToEnd } from './read-to-end.ts';
import { MAX_ANSWER_BYTES } from './frame.ts';

/** Temporal's answer to one call. */
export interface Answer {
  readonly headers: IncomingHttpHeaders;
  /** Empty when the headers are also the trailers. */
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders;
}

/** How long opening a connection may take, in milliseconds. */
const CONNECT_MS = 5_000;
/** How often an idle connection is pinged, and how long the answer may take, in milliseconds. */
const PING_EVERY_MS = 30_000;
const PING_DEADLINE_MS = 10_000;
/**
 * How many bytes Temporal may send before it waits, for one call and for all: polls of the whole fleet share the
 * connection.
 */
const STREAM_WINDOW = 1_048_576;
const SESSION_WINDOW = 16_777_216;
/** The most megabytes of HTTP/2 state: a thousand nodes hold several thousand open polls. */
const MAX_SESSION_MB = 512;

/** Sends calls to Temporal's frontend over one HTTP/2 connection, and reopens it when it breaks. */
export class Upstream {
  readonly #address: string;
  /** The session for new calls. */
  #session: ClientHttp2Session | null = null;
  /** That session, and those whose calls still run after Temporal asked for a new one. */
  readonly #open = new Set<ClientHttp2Session>();
  #closed = false;

  /** @param address host:port of Temporal's frontend */
  constructor(address: string) {
    this.#address = address;
  }

  /**
   * Makes one unary call.
   * @param frame the request's body
   * @param signal also cancels the call at Temporal
   * @throws MembridgeError engine_unavailable when Temporal does not answer or the call was cancelled
   */
  async call(
    path: string,
    headers: OutgoingHttpHeaders,
    frame: Buffer,
    signal: AbortSignal,
  ): Promise<Answer> {
    let stream: ClientHttp2Stream;
    try {
      signal.throwIfAborted();
      stream = this.#connected().request({
        ...headers,
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        'grpc-accept-encoding': 'identity',
      });
    } catch (cause) {
      throw this.#unavailable('the connection closes', cause);
    }
    const cancel = (): void => stream.close(constants.NGHTTP2_CANCEL);
    signal.addEventListener('abort', cancel, { once: true });
    try {
      stream.end(frame);
      return await this.#answerOf(stream);
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  /** Ends the connection; running calls fail. */
  close(): void {
    this.#closed = true;
    for (const session of this.#open) session.destroy();
  }

  async #answerOf(stream: ClientHttp2Stream): Promise<Answer> {
    const received: {
      headers: IncomingHttpHeaders & IncomingHttpStatusHeader;
      trailers: IncomingHttpHeaders;
    } = { headers: {}, trailers: {} };
    stream.on('response', (headers) => {
      received.headers = headers;
    });
    stream.on('trailers', (trailers) => {
      received.trailers = trailers;
    });
    try {
      const body = await readToEnd(stream, MAX_ANSWER_BYTES);
      const status = received.headers[':status'];
      if (status !== 200) throw new Error(`it answered with HTTP status ${status ?? 'none'}`);
      return { ...received, body };
    } catch (cause) {
      stream.close(constants.NGHTTP2_CANCEL);
      throw this.#unavailable(cause instanceof Error ? cause.message : 'the call broke off', cause);
    }
  }

  #connected(): ClientHttp2Session {
    const open = this.#session;
    // A session that received GOAWAY is closed: its calls continue to their end, and new calls open a new one.
    if (open !== null && !open.closed && !open.destroyed) return open;
    if (this.#closed) throw new Error('the gateway is closed');
    const session = connect(`http://${this.#address}`, {
      maxSessionMemory: MAX_SESSION_MB,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
    });
    this.#session = session;
    this.#open.add(session);
    const late = setTimeout(() => session.destroy(new Error('no connection in time')), CONNECT_MS);
    session.once('connect', (_session, socket) => {
      clearTimeout(late);
      socket.setNoDelay(true);
      session.setLocalWindowSize(SESSION_WINDOW);
    });
    const pings = setInterval(() => ping(session), PING_EVERY_MS);
    pings.unref();
    // Each running call receives the error too, and reports it.
    session.on('error', () => undefined);
    session.once('close', () => {
      clearTimeout(late);
      clearInterval(pings);
      this.#open.delete(session);
      if (this.#session === session) this.#session = null;
    });
    return session;
  }

  #unavailable(why: string, cause: unknown): MembridgeError {
    const message = `Temporal does not answer at ${this.#address} (TEMPORAL_ADDRESS): ${why}.`;
    return new MembridgeError('engine_unavailable', message, { cause });
  }
}

/** Pings a session, and ends it when the other end vanished silently. */
function ping(session: ClientHttp2Session): void {
  if (session.destroyed || session.connecting) return;
  const late = setTimeout(() => session.destroy(new Error('no answer to a ping')), PING_DEADLINE_MS);
  session.ping((error) => {
    clearTimeout(late);
    if (error !== null) session.destroy();
  });
}
