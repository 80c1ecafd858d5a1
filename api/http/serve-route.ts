import type { Request, RequestHandler, Response } from 'express';
import type { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import { safeParseLoosely } from '../../contract/http/parse-loosely.ts';
import { PROTOCOL, PROTOCOL_HEADER, readProtocol, refusalOfAgent } from '../../contract/nodes/protocol.ts';
import { authenticate } from '../auth/auth.ts';
import type { Deps } from '../deps.ts';
import { invalidInputError } from './problems.ts';
import type { Route } from './route.ts';
import { IGNORED_HEADER, ignoredNames, parseTolerantly } from '../../contract/http/tolerant.ts';
import { isTolerant } from '../original/original-routes.ts';

/**
 * Makes Express's handler of a declared route: it authenticates the caller, validates the input, and sends the
 * handler's answer.
 */
export function serveRoute(route: Route, deps: Deps, parseJson: RequestHandler): RequestHandler {
  return async (req, res) => {
    // Checked before the body is read: a stranger's megabyte is not worth parsing.
    if (isForAgents(route)) requireProtocol(req, res);
    const caller = await authenticate(req, route.auth, deps);
    // After the session has ended, the next user of the browser must find nothing in its cache.
    res.set('Cache-Control', 'no-store');
    if (route.body !== undefined) await readBody(req, res, parseJson);
    const code = route.original === true ? 'unprocessable' : 'bad_request';
    const ignored: string[] = [];
    const validate = (where: string, schema: z.ZodType | undefined, value: unknown): unknown => {
      if (schema === undefined) return undefined;
      // Agents may have another version; people and scripts should learn about a misspelt field.
      const read = isForAgents(route)
        ? { parsed: safeParseLoosely(schema, value), ignored: [] }
        : isTolerant(route)
          ? parseTolerantly(where, schema, value)
          : { parsed: schema.safeParse(value), ignored: [] };
      if (!read.parsed.success) throw invalidInputError(where, read.parsed.error, code);
      ignored.push(...read.ignored);
      return read.parsed.data;
    };
    const input = {
      params: validate('path', route.params, req.params),
      query: validate('query', route.query, req.query),
      body: validate('body', route.body, req.body ?? {}),
    };
    if (ignored.length > 0) res.set(IGNORED_HEADER, ignoredNames(ignored));
    const answer = await route.handle({ ...input, caller, req, res }, deps);
    if (route.content !== undefined) return;
    // A handler may have set 202 instead: the work continues.
    if (res.statusCode === 200) res.status(route.status);
    if (route.response === undefined) res.end();
    else res.json(answer);
  };
}

/** Returns whether Membridge's agents call a route. */
const isForAgents = ({ path }: Route): boolean => path.startsWith('/api/agent/');

/** Names this control plane's protocol. @throws MembridgeError protocol_unsupported when the agent's is too old */
function requireProtocol(req: Request, res: Response): void {
  res.set(PROTOCOL_HEADER, String(PROTOCOL));
  const refusal = refusalOfAgent(readProtocol(req.get(PROTOCOL_HEADER)));
  if (refusal !== null) throw new MembridgeError('protocol_unsupported', refusal);
}

async function readBody(req: Request, res: Response, parseJson: RequestHandler): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    void parseJson(req, res, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
  });
}
