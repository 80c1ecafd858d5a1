import { stringifySetCookie } from 'cookie';
import type { Request } from 'express';
import { Session, SignIn } from '../../contract/api.ts';
import { MembridgeError } from '../../contract/errors.ts';
import { createSession } from '../../db/queries/create-session.ts';
import { deleteSession } from '../../db/queries/delete-session.ts';
import { findSession } from '../../db/queries/find-session.ts';
import { SESSION_COOKIE, needOwnOrigin, sessionHash, sessionHashOf } from '../auth.ts';
import { defineRoute } from '../route.ts';
import { randomSecret, sameSecret } from '../secrets.ts';

/** How long a browser stays signed in: 7 days in seconds. */
const SESSION_SECONDS = 7 * 86_400;

function cookie(req: Request, value: string, maxAge: number): string {
  return stringifySetCookie({
    name: SESSION_COOKIE,
    value,
    maxAge,
    path: '/',
    httpOnly: true,
    sameSite: 'strict',
    secure: req.secure,
  });
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
      403: 'The page of another site asked',
      429: 'Too many failed attempts',
    },
    limitFailures: true,
    handle: async ({ body, req, res }, { config, db, ...deps }) => {
      if (req.get('Origin') !== undefined) needOwnOrigin(req, { config });
      // Both are compared always, so that the time tells nothing.
      const known = [config.runtimeKey, config.adminKey ?? config.runtimeKey].map((key) =>
        sameSecret(body.key, key),
      );
      if (!known.includes(true)) {
        throw new MembridgeError(
          'unauthorized',
          'This key is wrong. The API key is RUNTIME_API_KEY of the control plane.',
        );
      }
      const now = deps.now();
      const secret = randomSecret();
      const expiresAt = now + SESSION_SECONDS * 1_000;
      await createSession(db, { idHash: sessionHash(secret, { config }), now, expiresAt });
      res.append('Set-Cookie', cookie(req, secret, SESSION_SECONDS));
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
      const idHash = sessionHashOf(req, deps);
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
    errors: { 403: 'The page of another site asked' },
    handle: async ({ req, res }, deps) => {
      const idHash = sessionHashOf(req, deps);
      if (idHash !== null) {
        needOwnOrigin(req, deps);
        await deleteSession(deps.db, { idHash });
      }
      res.append('Set-Cookie', cookie(req, '', 0));
      return { signed_in: false, expires_at: null };
    },
  }),
];
