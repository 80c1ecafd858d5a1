import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { Deps } from '../deps.ts';

/**
 * Who may call a route:
 * - `none`: everybody;
 * - `admin`: the admin key;
 * - `people`: the runtime key, a signed-in browser or the admin key;
 * - `node`: a node's own key;
 * - `heartbeat`: the admin key, the original's shared agent key or a node's own key.
 */
export type RouteAuth = 'none' | 'admin' | 'people' | 'node' | 'heartbeat';

/** The authenticated caller. */
export interface Caller {
  readonly kind: 'anyone' | 'admin' | 'runtime-key' | 'browser' | 'node' | 'shared-agent';
  /** The node whose key was used. */
  readonly node?: string;
  /** The hash of the session cookie that was used. */
  readonly sessionHash?: string;
}

/** What a handler receives: validated input, the caller, and the raw exchange for the few handlers that need it. */
export interface Call<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly caller: Caller;
  readonly req: Request;
  readonly res: Response;
}

/** One route: everything for serving and documenting it, in one place. */
export interface Route {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** Express's form: `/projects/:name`. */
  readonly path: string;
  readonly auth: RouteAuth;
  readonly tag: string;
  readonly summary: string;
  /** Further information for callers. */
  readonly description?: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** The type of a body that is not JSON; the handler reads it itself. */
  readonly bodyContent?: string;
  /** The status of success. */
  readonly status: number;
  /** When it answers 202 instead, with the same body: the work continues. */
  readonly accepted?: string;
  /** The body of success; absent when there is none, or when it is not JSON (then `content` names its type). */
  readonly response?: z.ZodType;
  readonly content?: string;
  /** The schema of a data line, where `content` is a stream of other events than ServerEvent. */
  readonly event?: z.ZodType;
  /** Statuses of errors that only some routes answer with, each with its meaning. */
  readonly errors?: Readonly<Record<number, string>>;
  /** Whether the rate limit does not apply: for agents and streams, which are known and steady. */
  readonly unlimited?: boolean;
  /** A path of the original's control plane: invalid input is 422 there, not 400. */
  readonly original?: boolean;
  /** The most requests a minute from one address, besides the general limit. */
  readonly perMinute?: number;
  /** Returns the body of success; a handler of a route with `content` writes the response itself. */
  readonly handle: (call: Call<unknown, unknown, unknown>, deps: Deps) => Promise<unknown>;
}

type Infer<S> = S extends z.ZodType ? z.infer<S> : undefined;

/** Declares a route. Infers the input types from its schemas, and checks the answer's type against `response`. */
export function defineRoute<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
  R extends z.ZodType | undefined = undefined,
>(
  route: Omit<Route, 'params' | 'query' | 'body' | 'response' | 'handle'> & {
    readonly params?: P;
    readonly query?: Q;
    readonly body?: B;
    readonly response?: R;
    readonly handle: (
      call: Call<Infer<P>, Infer<Q>, Infer<B>>,
      deps: Deps,
    ) => Promise<R extends z.ZodType ? z.input<R> : void>;
  },
): Route {
  return route as unknown as Route;
}
