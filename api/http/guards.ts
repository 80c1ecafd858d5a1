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
