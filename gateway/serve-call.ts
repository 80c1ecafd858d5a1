import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { MembridgeError, errorMessage } from '../contract/errors.ts';
import { ALLOWED, type AllowedMethod } from './allow-list.ts';
import type { ByteBudget } from './byte-budget.ts';
import { readToEnd } from './read-to-end.ts';
import { MAX_ANSWER_BYTES, MAX_BODY_BYTES, frameMessage, readMessage } from './frame.ts';
import type { Rights } from './rights.ts';
import { refuseCall } from './status.ts';
import type { TaskTokens } from './task-tokens.ts';
import type { Answer, Upstream } from './upstream.ts';

/** The rights, keys and connection with which calls of a tunnel are served. */
export interface CallContext {
  /** Returns the present rights of the tunnel's node. */
  readonly rights: () => Rights;
  /** Returns whether a call's `authorization` is the one that the agent chose for this tunnel. */
  readonly isAuthorized: (authorization: string | undefined) => boolean;
  readonly tokens: TaskTokens;
  readonly upstream: Upstream;
  readonly budget: ByteBudget;
  /** Called for a refused call, with the reason. */
  readonly refused: (path: string, reason: string) => void;
}

/** How long an agent may take to send one request, in milliseconds. */
const REQUEST_WITHIN_MS = 30_000;

/** Headers of a call that Temporal receives. All others stay here, above all the agent's secret. */
const PASSED_HEADERS = [
  'client-name',
  'client-version',
  'grpc-timeout',
  'supported-features',
  'supported-server-versions',
  'user-agent',
] as const;

/** Reads one unary call, checks it, sends it to Temporal and returns the answer. */
export async function serveCall(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  context: CallContext,
): Promise<void> {
  const gone = new AbortController();
  const held = context.budget.open();
  // A poll that the agent abandoned is cancelled at Temporal too: otherwise a task could be given to nobody.
  stream.once('close', () => {
    held.release();
    gone.abort();
  });
  stream.on('error', () => undefined);
  try {
    const path = headers[':path'] ?? '';
    const method = admit(path, headers, context);
    const body = await readBody(stream, (bytes) => held.take(bytes));
    const message = await readMessage(body, firstValue(headers['grpc-encoding']));
    held.take(message.length);
    const request = judge(path, method, message, context);
    const answer = await context.upstream.call(
      path,
      { ...filterHeaders(headers), 'temporal-namespace': context.rights().namespace },
      frameMessage(request),
      gone.signal,
    );
    held.take(answer.body.length);
    const task = method.task;
    respond(stream, answer, task === undefined ? answer.body : await bindToken(answer, task, context));
  } catch (error) {
    refuseCall(stream, error);
  }
}

/** Checks the secret and the method. @throws MembridgeError unauthorized, forbidden */
function admit(path: string, headers: IncomingHttpHeaders, context: CallContext): AllowedMethod {
  const { node } = context.rights();
  if (!context.isAuthorized(headers.authorization)) {
    context.refused(path, "it did not carry the secret of the agent's tunnel");
    throw new MembridgeError(
      'unauthorized',
      `The tunnel of node ${node} accepts only calls of its agent; this one does not carry the agent's secret.`,
    );
  }
  const method = ALLOWED.get(path);
  if (method === undefined || headers[':method'] !== 'POST')
    throw refusal(path, 'nodes may not call it', context);
  return method;
}

/**
 * Returns the request for Temporal, with Temporal's own token. It is encoded from what was checked, so that nothing
 * else gets through.
 * @throws MembridgeError bad_request, forbidden
 */
function judge(path: string, method: AllowedMethod, message: Buffer, context: CallContext): Uint8Array {
  const rights = context.rights();
  let request: unknown;
  try {
    request = method.request.decode(message);
  } catch (cause) {
    const why = `The message of ${path} cannot be read: ${errorMessage(cause)}.`;
    throw new MembridgeError('bad_request', why, { cause });
  }
  const objection = method.objection(request, rights);
  if (objection !== null) throw refusal(path, objection, context);
  if (method.needsToken === true) {
    const named = request as { taskToken?: Uint8Array | null };
    const token = context.tokens.release(rights.node, named.taskToken ?? new Uint8Array());
    if (token === null) throw refusal(path, 'it names a task that this node did not receive', context);
    named.taskToken = token;
  }
  return method.request.encode(request).finish();
}

async function bindToken(
  answer: Answer,
  type: NonNullable<AllowedMethod['task']>,
  context: CallContext,
): Promise<Buffer> {
  if (answer.body.length === 0) return answer.body;
  const task = type.decode(await readMessage(answer.body, undefined, MAX_ANSWER_BYTES));
  // A poll that ended without a task has no token.
  if (task.taskToken == null || task.taskToken.length === 0) return answer.body;
  task.taskToken = context.tokens.bind(context.rights().node, task.taskToken);
  return frameMessage(type.encode(task).finish());
}

function refusal(path: string, reason: string, context: CallContext): MembridgeError {
  context.refused(path, reason);
  return new MembridgeError('forbidden', `Node ${context.rights().node} may not call ${path}: ${reason}.`);
}

async function readBody(stream: ServerHttp2Stream, onBytes: (bytes: number) => void): Promise<Buffer> {
  const late = setTimeout(() => {
    stream.destroy(new MembridgeError('bad_request', 'The call was not sent in time.'));
  }, REQUEST_WITHIN_MS);
  try {
    return await readToEnd(stream, MAX_BODY_BYTES, onBytes);
  } finally {
    clearTimeout(late);
  }
}

const firstValue = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value;

function filterHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const known = PASSED_HEADERS.map((name) => [name, headers[name]] as const);
  return Object.fromEntries(known.filter(([, value]) => value !== undefined));
}

function respond(stream: ServerHttp2Stream, { headers, trailers }: Answer, body: Buffer): void {
  if (stream.closed || stream.destroyed) return;
  if (body.length === 0) {
    stream.respond({ ':status': 200, ...metadata(headers), ...metadata(trailers) }, { endStream: true });
    return;
  }
  stream.respond({ ':status': 200, ...metadata(headers) }, { waitForTrailers: true });
  stream.on('wantTrailers', () => {
    // The agent may have abandoned the call since.
    if (!stream.closed && !stream.destroyed) stream.sendTrailers(metadata(trailers));
  });
  stream.end(body);
}

/** Returns headers without those of HTTP/2 itself, and without the encoding: what is sent from here is not compressed. */
function metadata(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const own = Object.entries(headers).filter(
    ([name]) => !name.startsWith(':') && name !== 'content-length' && name !== 'grpc-encoding',
  );
  return Object.fromEntries(own);
}
