import type { Request } from 'express';
import { parseCookie } from 'cookie';
import { MembridgeError } from '../contract/errors.ts';
import { assertNever } from '../contract/primitives.ts';
import { findNodeByKey } from '../db/queries/find-node-by-key.ts';
import { findSession } from '../db/queries/find-session.ts';
import type { Deps } from './deps.ts';
import type { Caller, RouteAuth } from './route.ts';
import { sameSecret, sha256Hex } from './secrets.ts';

export const SESSION_COOKIE = 'membridge_session';

type AuthDeps = Pick<Deps, 'config' | 'db' | 'now'>;

/**
 * Lets a request in, or not.
 * @throws MembridgeError unauthorized, naming the header that is missing or wrong; forbidden for a browser's write from
 *   another site; database_unavailable
 */
export async function authenticate(req: Request, auth: RouteAuth, deps: AuthDeps): Promise<Caller> {
  switch (auth) {
    case 'none':
      return { kind: 'anyone' };
    case 'admin':
      return asAdmin(req, deps) ?? refuse('X-MEMBRIDGE-ADMIN', 'the admin key (MEMBRIDGE_ADMIN_KEY)');
    case 'people':
      return (
        asAdmin(req, deps) ??
        asRuntime(req, deps) ??
        (await asBrowser(req, deps)) ??
        refuse('X-Runtime-API-Key', 'the API key (RUNTIME_API_KEY), or sign in')
      );
    case 'node':
      return (
        (await asNode(req, deps)) ?? refuse('X-MEMBRIDGE-AGENT', "this node's own key, got at enrolment")
      );
    case 'heartbeat':
      return (
        asAdmin(req, deps) ??
        asSharedAgent(req, deps) ??
        (await asNode(req, deps)) ??
        refuse('X-MEMBRIDGE-AGENT', 'an agent key, or X-MEMBRIDGE-ADMIN with the admin key')
      );
    default:
      return assertNever(auth);
  }
}

function refuse(header: string, expected: string): never {
  throw new MembridgeError('unauthorized', `This needs ${header} with ${expected}; it is missing or wrong.`);
}

function asAdmin(req: Request, { config }: AuthDeps): Caller | null {
  const given = req.get('X-MEMBRIDGE-ADMIN');
  if (given === undefined || config.adminKey === null) return null;
  return sameSecret(given, config.adminKey) ? { kind: 'admin' } : null;
}

function asRuntime(req: Request, { config }: AuthDeps): Caller | null {
  const bearer = /^Bearer +(.+)$/i.exec(req.get('Authorization') ?? '')?.[1];
  const given = req.get('X-Runtime-API-Key') ?? bearer;
  return given !== undefined && sameSecret(given, config.runtimeKey) ? { kind: 'runtime-key' } : null;
}

function asSharedAgent(req: Request, { config }: AuthDeps): Caller | null {
  const given = req.get('X-MEMBRIDGE-AGENT');
  if (given === undefined || config.sharedAgentKey === null) return null;
  return sameSecret(given, config.sharedAgentKey) ? { kind: 'shared-agent' } : null;
}

/** A node's key has 256 random bits, so it is found by its hash: nothing can be learnt from the time of a look-up. */
async function asNode(req: Request, { db }: AuthDeps): Promise<Caller | null> {
  const given = req.get('X-MEMBRIDGE-AGENT');
  if (given === undefined) return null;
  const node = await findNodeByKey(db, { keyHash: sha256Hex(given) });
  return node === null ? null : { kind: 'node', node };
}

async function asBrowser(req: Request, deps: AuthDeps): Promise<Caller | null> {
  const idHash = sessionHashOf(req, deps);
  if (idHash === null) return null;
  const session = await findSession(deps.db, { idHash, now: deps.now() });
  if (session === null) return null;
  if (req.method !== 'GET' && req.method !== 'HEAD') needOwnOrigin(req, deps);
  return { kind: 'browser', sessionHash: idHash };
}

/**
 * What the database knows a session by: a hash of its cookie and of the keys that it was made under. A changed key thus ends
 * every session at once, in each control plane that has the new key.
 * @param secret the cookie's value
 */
export function sessionHash(secret: string, { config }: Pick<Deps, 'config'>): string {
  const keys = [config.runtimeKey, config.adminKey ?? ''].map(sha256Hex).join('.');
  return sha256Hex(`${keys}.${secret}`);
}

/** The hash of a request's session, or null when it has no cookie. */
export function sessionHashOf(req: Request, deps: Pick<Deps, 'config'>): string | null {
  const cookie = parseCookie(req.get('Cookie') ?? '')[SESSION_COOKIE];
  return cookie === undefined || cookie === '' ? null : sessionHash(cookie, deps);
}

/**
 * Refuses a browser's write that another site caused: a browser sends its cookie by itself, but cannot lie about Origin.
 * @throws MembridgeError forbidden
 */
export function needOwnOrigin(req: Request, { config }: Pick<Deps, 'config'>): void {
  const origin = req.get('Origin');
  const own = [`${req.protocol}://${req.host}`];
  if (config.publicUrl !== null) own.push(new URL(config.publicUrl).origin);
  if (origin !== undefined && own.includes(origin)) return;
  throw new MembridgeError(
    'forbidden',
    `A signed-in browser may change things only from this page's own address (${own.join(' or ')}); the request came from ${origin ?? 'an unnamed origin'}. Behind a proxy, set MEMBRIDGE_PUBLIC_URL or MEMBRIDGE_TRUST_PROXY.`,
  );
}
