import { createHash, createPublicKey } from 'node:crypto';
import { parseCookie, stringifySetCookie } from 'cookie';
import type { Request } from 'express';
import type { Config } from '../config.ts';

/** The settings that decide about cookies. */
type CookieConfig = Pick<Config, 'publicUrl' | 'basePath' | 'signingKey'>;

/**
 * Returns whether the cookie is only for https. MEMBRIDGE_PUBLIC_URL decides where it is set, because a proxy in
 * front may speak plain HTTP to this server; otherwise the request decides.
 */
function isForHttps(req: Request, { publicUrl }: CookieConfig): boolean {
  return publicUrl === null ? req.secure : publicUrl.startsWith('https:');
}

/**
 * Returns the name of the session's cookie. A browser sends a cookie to every port of a host. So each instance has
 * its own name; otherwise two of them on one machine would sign each other out. A plain page cannot replace a cookie
 * that an https page set, so the two have different names. With the prefix __Host- the browser itself refuses a
 * cookie that is not from this host by https. That prefix requires the path `/`. Below a base path the cookie must go
 * only to this server and not to its neighbors, so __Secure- is used, which only requires https.
 */
export function sessionCookieName(req: Request, config: CookieConfig): string {
  const name = `membridge_session_${instanceId(config)}`;
  if (!isForHttps(req, config)) return name;
  return config.basePath === '' ? `__Host-${name}` : `__Secure-${name}`;
}

/**
 * Returns eight hex digits that all processes of one control plane share, and no others: a hash of its public signing
 * key.
 */
function instanceId({ signingKey }: CookieConfig): string {
  const publicKey = createPublicKey(signingKey).export({ format: 'der', type: 'spki' });
  return createHash('sha256').update(publicKey).digest('hex').slice(0, 8);
}

/** Returns the session secret in a request, or null. */
export function readSessionCookie(req: Request, config: CookieConfig): string | null {
  const value = parseCookie(req.get('Cookie') ?? '')[sessionCookieName(req, config)];
  return value === undefined || value === '' ? null : value;
}

/** Makes the Set-Cookie header of a session. @param maxAge in seconds; 0 removes the cookie */
export function sessionCookie(req: Request, config: CookieConfig, value: string, maxAge: number): string {
  return stringifySetCookie({
    name: sessionCookieName(req, config),
    value,
    maxAge,
    path: config.basePath === '' ? '/' : config.basePath,
    httpOnly: true,
    sameSite: 'strict',
    secure: isForHttps(req, config),
  });
}
