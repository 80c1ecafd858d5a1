import { ERRORS, MembridgeError, problemType } from '../../contract/errors.ts';
import type { Problem } from '../../contract/http/api.ts';
import type { Deps } from '../deps.ts';
import { basePathOfApp } from '../http/problems.ts';
import type { Call, Route } from '../http/route.ts';
import type { RemoteAnswer } from './attempt.ts';
import { abortOnDisconnect } from './abort-on-disconnect.ts';
import { VIA } from './client.ts';
import { requireTarget, readTarget } from './kept-target.ts';

/** Paths that the original's control plane serves too, without the prefix /api/membridge. */
const ORIGINAL_PATH = /^\/api\/membridge(\/(health|projects)\b.*)$/;

/** Wraps a route that authenticates and validates here, and whose answer comes from the remote control plane. */
export function forwardRoute(route: Route): Route {
  return {
    ...route,
    content: 'application/json',
    handle: async (call, deps) => await forward(route, call, deps),
  };
}

async function forward(route: Route, call: Call<unknown, unknown, unknown>, deps: Deps): Promise<void> {
  const { req, res } = call;
  if (req.get('Via')?.includes(VIA) === true) {
    throw new MembridgeError(
      'control_plane_refused',
      'This process is a runtime that asks a control plane itself; set the address of the control plane, not of a runtime.',
    );
  }
  const target = requireTarget(await readTarget(deps));
  const signal = abortOnDisconnect(res);
  try {
    const ask = async (path: string): Promise<RemoteAnswer> =>
      await deps.remote.call(target, {
        method: route.method.toUpperCase() as Uppercase<Route['method']>,
        segments: segmentsOf(path, call.params as Record<string, string> | undefined),
        query: queryOf(call.query as Record<string, unknown> | undefined),
        ...(route.body === undefined ? {} : { body: call.body }),
        requestId: String(res.getHeader('X-Request-ID') ?? ''),
        signal,
      });
    const answer = await ask(route.path);
    const original = ORIGINAL_PATH.exec(route.path)?.[1];
    if (original !== undefined && isUnknownThere(answer)) send(call, await ask(original));
    else send(call, answer);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/**
 * Returns whether the control plane has no such path, and so did nothing: then it is the original's. Ours gives every
 * error a code.
 */
function isUnknownThere({ status, body }: RemoteAnswer): boolean {
  const isOurs = typeof body === 'object' && body !== null && 'code' in body;
  return (status === 404 || status === 405) && !isOurs;
}

/** Returns the segments of a path with its parameters filled in. */
function segmentsOf(path: string, params: Readonly<Record<string, string>> = {}): string[] {
  const segments = path.split('/').slice(1);
  return segments.map((segment) => (segment.startsWith(':') ? (params[segment.slice(1)] ?? '') : segment));
}

function queryOf(query: Readonly<Record<string, unknown>> = {}): Record<string, string> {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}

function send({ res }: Call<unknown, unknown, unknown>, answer: RemoteAnswer): void {
  const { status, body, retryAfter } = answer;
  res.status(status).set('Cache-Control', 'no-store');
  if (retryAfter !== null) res.set('Retry-After', retryAfter);
  if (status >= 400) {
    const type = problemType('control_plane_refused', basePathOfApp(res));
    const problem = { type, ...problemOf(status, body, String(res.getHeader('X-Request-ID') ?? '')) };
    res.type('application/problem+json').send(JSON.stringify(problem));
  } else if (body === undefined) res.end();
  else res.json(body);
}

/** Converts an error into our form, except for its `type`: the original's control plane sends only `detail`. */
function problemOf(status: number, body: unknown, requestId: string): Record<string, unknown> {
  const given = typeof body === 'object' && body !== null ? { ...body } : {};
  if ('code' in given && 'error' in given) return { ...given, request_id: requestId };
  const said = 'detail' in given && typeof given.detail === 'string' ? given.detail : `it answers ${status}`;
  const detail = `The control plane says: ${said}`;
  const problem: Omit<Problem, 'type'> = {
    title: ERRORS.control_plane_refused.title,
    status,
    detail,
    code: 'control_plane_refused',
    request_id: requestId,
    error: detail,
  };
  return { ...problem };
}
