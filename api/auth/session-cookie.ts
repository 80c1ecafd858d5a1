import { createHash, createPublicKey } from 'node:crypto';
import { parseCookie, stringifySetCookie } from 'cookie';
import type { Request } from 'express';
import type { Config } from '../config.ts';

/** What of the settings decides about cookies. */
type CookieConfig = Pick<Config, 'publicUrl' | 'basePath' | 'signingKey'>;

/**
 * Whether the cookie is for https alone: by the address that browsers use, where MEMBRIDGE_PUBLIC_URL names it, since a proxy in front may
 * speak plain HTTP to this server; else by the request.
 */
function isForHttps(req: Request, { publicUrl }: CookieConfig): boolean {
  return publicUrl === null ? req.secure : publicUrl.startsWith('https:');
}

/**
 * Names the session's cookie. A browser sends a cookie to every port of a host, so each instance has a name of its own: two of
 * them on one machine would otherwise sign each other out. And a plain page cannot replace a cookie that an https page set, so
 * the two differ; the prefix __Host- makes the browser itself refuse what is not from this host by https. That prefix demands the
 * path `/`: below a base path the cookie goes to this server alone and not to its neighbours on the host, and __Secure- demands https.
 */
export function sessionCookieName(req: Request, config: CookieConfig): string {
  const name = `membridge_session_${instanceId(config)}`;
  if (!isForHttps(req, config)) return name;
  return config.basePath === '' ? `__Host-${name}` : `__Secure-${name}`;
}

/** Eight hex digits that every process of one control plane shares and no other has: a hash of its public signing key. */
function instanceId({ signingKey }: CookieConfig): string {
  const publicKey = createPublicKey(signingKey).export({ format: 'der', type: 'spki' });
  return createHash('sha256').update(publicKey).digest('hex').slice(0, 8);
}

/** Gives the session's secret that a request carries, or null. */
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
