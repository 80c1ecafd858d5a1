import type { RequestHandler } from 'express';
import helmet from 'helmet';
import { MembridgeError } from '../../contract/errors.ts';
import { isLoopbackAddress, isOwnHost } from '../../contract/nodes/own-host.ts';
import type { Config } from '../config.ts';

/**
 * Sets the headers that stop other sites from framing the page, and the page from loading foreign content.
 * Strict-Transport-Security is sent only where MEMBRIDGE_HSTS_SECONDS asks for it. A browser applies it to the whole
 * host name, so it would also block other plain-http services there.
 */
export function securityHeaders({ hstsSeconds }: Pick<Config, 'hstsSeconds'>): RequestHandler {
  return helmet({
    strictTransportSecurity: hstsSeconds === 0 ? false : { maxAge: hstsSeconds, includeSubDomains: false },
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        // The page's component library writes style elements and attributes.
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        fontSrc: ["'self'", 'data:'],
        objectSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    referrerPolicy: { policy: 'no-referrer' },
  });
}

/**
 * Sends a request to https that reached the trusted proxy by plain HTTP. The proxy says so in X-Forwarded-Proto; without the header, such
 * as a health check of the machine itself, a request is served. A script that sends its key this way notices at once.
 */
export function redirectToHttps(
  config: Pick<Config, 'redirectsToHttps' | 'trustProxy' | 'publicUrl'>,
): RequestHandler {
  const { publicUrl } = config;
  const isOn = config.redirectsToHttps && config.trustProxy > 0 && publicUrl?.startsWith('http:') !== true;
  return (req, res, next) => {
    const isPlain = req.headers['x-forwarded-proto'] !== undefined && !req.secure;
    // A name with other characters is none, and must not become part of an address.
    const host = /^(?:[\w.-]+|\[[\da-f:.]+\])(?=:\d+$|$)/i.exec(req.headers.host ?? '')?.[0];
    const target = publicUrl ?? (host === undefined ? null : `https://${host}`);
    if (!isOn || !isPlain || target === null) return next();
    res.redirect(308, `${target}${req.url}`);
  };
}

/**
 * Refuses requests under a foreign name where only this machine can reach the server. A website that points its name
 * at 127.0.0.1 must not get through a browser here. Behind a proxy, or with a public address, the proxy checks names.
 */
export function requireOwnHost({ host, publicUrl, trustProxy }: Config): RequestHandler {
  const isPrivate = isLoopbackAddress(host) && publicUrl === null && trustProxy === 0;
  return (req, _res, next) => {
    if (!isPrivate || isOwnHost(req.headers.host)) return next();
    next(
      new MembridgeError(
        'forbidden',
        `This server is reached as localhost or 127.0.0.1, not as ${JSON.stringify(req.headers.host ?? '')}. Behind a proxy, set MEMBRIDGE_PUBLIC_URL or MEMBRIDGE_TRUST_PROXY.`,
      ),
    );
  };
}
