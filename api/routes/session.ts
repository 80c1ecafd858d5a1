import { z } from 'zod';
import { Session, SignIn, SignedInBrowser } from '../../contract/http/api.ts';
import { MembridgeError } from '../../contract/errors.ts';
import { createSession } from '../../db/queries/create-session.ts';
import { deleteSessions } from '../../db/queries/delete-session.ts';
import { findSession } from '../../db/queries/find-session.ts';
import { listSessions, sessionId } from '../../db/queries/list-sessions.ts';
import type { Config } from '../config.ts';
import {
  countFailures,
  hashSignInKeys,
  requireOwnOrigin,
  hashSession,
  readSessionHash,
} from '../auth/auth.ts';
import { auditByCaller } from '../auth/actor.ts';
import { notFoundError } from '../http/not-found.ts';
import { defineRoute } from '../http/route.ts';
import { randomSecret, isSameSecret } from '../auth/secrets.ts';
import { sessionCookie } from '../auth/session-cookie.ts';

/** How long a browser stays signed in: 7 days in seconds. */
const SESSION_SECONDS = 7 * 86_400;

/** Checks that a person's key is right. @throws MembridgeError unauthorized */
function requirePersonsKey(given: string, { runtimeKey, adminKey }: Config): void {
  // Always compares both, so that the time reveals nothing.
  const known = [runtimeKey, adminKey ?? runtimeKey].map((key) => isSameSecret(given, key));
  if (known.includes(true)) return;
  throw new MembridgeError(
    'unauthorized',
    'This key is wrong. The API key is RUNTIME_API_KEY of the control plane.',
  );
}

export const sessionRoutes = [
  defineRoute({
    method: 'post',
    path: '/api/session',
    auth: 'none',
    tag: 'Session',
    summary: 'Sign a browser in with the API key; answers with a cookie for 7 days',
    body: SignIn,
    status: 200,
    response: Session,
    errors: {
      401: 'The key is wrong',
      403: 'The request came from another site’s page',
      429: 'Too many failed attempts',
    },
    handle: async ({ body, req, res }, deps) => {
      const { config, db } = deps;
      if (req.get('Origin') !== undefined) requireOwnOrigin(req, { config });
      await countFailures(req, [body.key], deps, () => Promise.resolve(requirePersonsKey(body.key, config)));
      const now = deps.now();
      const secret = randomSecret();
      const expiresAt = now + SESSION_SECONDS * 1_000;
      await createSession(db, {
        idHash: hashSession(secret, deps),
        keysHash: hashSignInKeys(deps),
        address: req.ip ?? 'an unknown address',
        userAgent: req.get('User-Agent') ?? '',
        now,
        expiresAt,
      });
      res.append('Set-Cookie', sessionCookie(req, config, secret, SESSION_SECONDS));
      return { signed_in: true, expires_at: expiresAt };
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/session',
    auth: 'none',
    tag: 'Session',
    summary: 'Whether this browser is signed in',
    status: 200,
    response: Session,
    handle: async ({ req }, deps) => {
      const idHash = readSessionHash(req, deps);
      const session = idHash === null ? null : await findSession(deps.db, { idHash, now: deps.now() });
      return { signed_in: session !== null, expires_at: session?.expiresAt ?? null };
    },
  }),
  defineRoute({
    method: 'delete',
    path: '/api/session',
    auth: 'none',
    tag: 'Session',
    summary: 'Sign this browser out',
    status: 200,
    response: Session,
    errors: { 403: 'The request came from another site’s page' },
    handle: async ({ req, res }, deps) => {
      const idHash = readSessionHash(req, deps);
      if (idHash !== null) {
        requireOwnOrigin(req, deps);
        const by = auditByCaller({ kind: 'browser' });
        await deleteSessions(deps.db, { which: { idHash }, by, now: deps.now() });
      }
      res.append('Set-Cookie', sessionCookie(req, deps.config, '', 0));
      return { signed_in: false, expires_at: null };
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/sessions',
    auth: 'people',
    tag: 'Session',
    summary: 'List the signed-in browsers, newest first',
    status: 200,
    response: z.array(SignedInBrowser),
    handle: async ({ caller }, deps) => {
      const rows = await listSessions(deps.db, { keysHash: hashSignInKeys(deps), now: deps.now() });
      return rows.map(({ id_hash, keys_hash: _keys, ...row }) => ({
        id: sessionId(id_hash),
        ...row,
        is_this: id_hash === caller.sessionHash,
      }));
    },
  }),
  defineRoute({
    method: 'delete',
    path: '/api/sessions',
    auth: 'people',
    tag: 'Session',
    summary: 'Sign out every browser except this one',
    status: 200,
    response: z.strictObject({ ended: z.number().int() }),
    handle: async ({ caller }, deps) => {
      const which = { allBut: caller.sessionHash ?? null };
      return { ended: await deleteSessions(deps.db, { which, by: auditByCaller(caller), now: deps.now() }) };
    },
  }),
  defineRoute({
    method: 'delete',
    path: '/api/sessions/:id',
    auth: 'people',
    tag: 'Session',
    summary: 'Sign one browser out',
    params: z.strictObject({ id: z.string().regex(/^[0-9a-f]{16}$/) }),
    status: 200,
    response: z.strictObject({ ended: z.number().int() }),
    errors: { 404: 'There is no such session' },
    handle: async ({ params, caller }, deps) => {
      const ended = await deleteSessions(deps.db, {
        which: params,
        by: auditByCaller(caller),
        now: deps.now(),
      });
      if (ended === 0) throw notFoundError('session', params.id);
      return { ended };
    },
  }),
];
