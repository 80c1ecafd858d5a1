import type { Request } from 'express';
import { MembridgeError } from '../../contract/errors.ts';
import { assertNever } from '../../contract/http/primitives.ts';
import { findNodeByKey } from '../../db/queries/find-node-by-key.ts';
import { findSession } from '../../db/queries/find-session.ts';
import type { Deps } from '../deps.ts';
import type { Caller, RouteAuth } from '../http/route.ts';
import { isSameSecret, sha256Hex } from './secrets.ts';
import { readSessionCookie } from './session-cookie.ts';

type AuthDeps = Pick<Deps, 'config' | 'db' | 'failures' | 'now'>;

/**
 * Authenticates a request.
 * @throws MembridgeError unauthorized, naming the missing or wrong header; too_many_requests after too many wrong
 * keys; forbidden for a browser's write from another site; database_unavailable
 */
export async function authenticate(req: Request, auth: RouteAuth, deps: AuthDeps): Promise<Caller> {
  if (auth === 'none') return { kind: 'anyone' };
  return await countFailures(req, readKeys(req), deps, () => admit(req, auth, deps));
}

/**
 * Runs a key check, and counts it if the key is wrong. After too many wrong keys from the caller's address it refuses
 * without a check.
 * @throws MembridgeError too_many_requests; whatever `work` throws
 */
export async function countFailures<T>(
  req: Request,
  keys: readonly string[],
  { failures }: Pick<Deps, 'failures'>,
  work: () => Promise<T>,
): Promise<T> {
  await failures.check(req.ip, keys);
  try {
    return await work();
  } catch (error) {
    if (error instanceof MembridgeError && error.code === 'unauthorized') await failures.count(req.ip, keys);
    throw error;
  }
}

/**
 * Returns the keys in a request's headers. A session cookie does not count: it is random, and an expired one is no
 * attack.
 */
function readKeys(req: Request): string[] {
  const given = [req.get('X-MEMBRIDGE-ADMIN'), runtimeKeyOf(req), req.get('X-MEMBRIDGE-AGENT')];
  return given.filter((key) => key !== undefined);
}

async function admit(req: Request, auth: Exclude<RouteAuth, 'none'>, deps: AuthDeps): Promise<Caller> {
  switch (auth) {
    case 'admin':
      return identifyAdmin(req, deps) ?? refuse('X-MEMBRIDGE-ADMIN', 'the admin key (MEMBRIDGE_ADMIN_KEY)');
    case 'people':
      return (
        identifyAdmin(req, deps) ??
        identifyRuntime(req, deps) ??
        (await identifyBrowser(req, deps)) ??
        refuse('X-Runtime-API-Key', 'the API key (RUNTIME_API_KEY), or sign in')
      );
    case 'node':
      return (
        (await identifyNode(req, deps)) ??
        refuse('X-MEMBRIDGE-AGENT', "this node's own key, got at enrolment")
      );
    case 'heartbeat':
      return (
        identifyAdmin(req, deps) ??
        identifySharedAgent(req, deps) ??
        (await identifyNode(req, deps)) ??
        refuse('X-MEMBRIDGE-AGENT', 'an agent key, or X-MEMBRIDGE-ADMIN with the admin key')
      );
    default:
      return assertNever(auth);
  }
}

function refuse(header: string, expected: string): never {
  throw new MembridgeError('unauthorized', `This needs ${header} with ${expected}; it is missing or wrong.`);
}

function identifyAdmin(req: Request, { config }: AuthDeps): Caller | null {
  const given = req.get('X-MEMBRIDGE-ADMIN');
  if (given === undefined || config.adminKey === null) return null;
  return isSameSecret(given, config.adminKey) ? { kind: 'admin' } : null;
}

function identifyRuntime(req: Request, { config }: AuthDeps): Caller | null {
  const given = runtimeKeyOf(req);
  return given !== undefined && isSameSecret(given, config.runtimeKey) ? { kind: 'runtime-key' } : null;
}

function runtimeKeyOf(req: Request): string | undefined {
  const bearer = /^Bearer +(.+)$/i.exec(req.get('Authorization') ?? '')?.[1];
  return req.get('X-Runtime-API-Key') ?? bearer;
}

function identifySharedAgent(req: Request, { config }: AuthDeps): Caller | null {
  const given = req.get('X-MEMBRIDGE-AGENT');
  if (given === undefined || config.sharedAgentKey === null) return null;
  return isSameSecret(given, config.sharedAgentKey) ? { kind: 'shared-agent' } : null;
}

/** A node's key has 256 random bits, so it is looked up by its hash: the time of a look-up reveals nothing. */
async function identifyNode(req: Request, { db, failures }: AuthDeps): Promise<Caller | null> {
  const given = req.get('X-MEMBRIDGE-AGENT');
  if (given === undefined) return null;
  const node = await findNodeByKey(db, { keyHash: sha256Hex(given) });
  if (node === null) return null;
  failures.remember(given);
  return { kind: 'node', node };
}

async function identifyBrowser(req: Request, deps: AuthDeps): Promise<Caller | null> {
  const idHash = readSessionHash(req, deps);
  if (idHash === null) return null;
  const session = await findSession(deps.db, { idHash, now: deps.now() });
  if (session === null) return null;
  if (req.method !== 'GET' && req.method !== 'HEAD') requireOwnOrigin(req, deps);
  return { kind: 'browser', sessionHash: idHash };
}

/**
 * Returns the name under which the database holds a session: a hash of its cookie and of the keys in force when it
 * was made. So a changed key ends every session at once, in each control plane that has the new key.
 * @param secret the cookie's value
 */
export function hashSession(secret: string, deps: Pick<Deps, 'config'>): string {
  return sha256Hex(`${hashSignInKeys(deps)}.${secret}`);
}

/** Returns a hash of the keys that sign browsers in. */
export function hashSignInKeys({ config }: Pick<Deps, 'config'>): string {
  return sha256Hex([config.runtimeKey, config.adminKey ?? ''].map(sha256Hex).join('.'));
}

/**
 * Makes a function that checks whether a stream's caller may still read: a browser's session may have ended since.
 * @throws MembridgeError database_unavailable, from the returned function
 */
export function makeSessionCheck(
  { sessionHash: idHash }: Caller,
  deps: Pick<Deps, 'db' | 'now'>,
): () => Promise<boolean> {
  return async () => {
    if (idHash === undefined) return true;
    return (await findSession(deps.db, { idHash, now: deps.now() })) !== null;
  };
}

/** Returns the hash of a request's session, or null when it has no cookie. */
export function readSessionHash(req: Request, deps: Pick<Deps, 'config'>): string | null {
  const secret = readSessionCookie(req, deps.config);
  return secret === null ? null : hashSession(secret, deps);
}

/**
 * Refuses a browser's write that another site caused. A browser sends its cookie automatically, but cannot forge
 * Origin.
 * @throws MembridgeError forbidden
 */
export function requireOwnOrigin(req: Request, { config }: Pick<Deps, 'config'>): void {
  const origin = req.get('Origin');
  const own = [`${req.protocol}://${req.host}`];
  if (config.publicUrl !== null) own.push(new URL(config.publicUrl).origin);
  if (origin !== undefined && own.includes(origin)) return;
  throw new MembridgeError(
    'forbidden',
    `A signed-in browser may change things only from this page's own address (${own.join(' or ')}); the request came from ${origin ?? 'an unnamed origin'}. Behind a proxy, set MEMBRIDGE_PUBLIC_URL or MEMBRIDGE_TRUST_PROXY.`,
  );
}
