import { createHash } from 'node:crypto';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { Router, type Request, type Response } from 'express';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import { TEMPORAL_PAGE } from '../../contract/names.ts';
import { authenticate } from '../auth/auth.ts';
import type { Deps } from '../deps.ts';

/** How long Temporal's page may take until its answer begins, in milliseconds. */
const ANSWER_MS = 30_000;

/** Headers of a request that Temporal's page needs. Our cookies and keys are not among them. */
const FORWARDED_HEADERS = ['accept', 'accept-language', 'if-none-match', 'if-modified-since', 'user-agent'];
/** Headers of an answer that are returned. */
const RETURNED_HEADERS = ['content-type', 'content-length', 'etag', 'last-modified', 'location'];

/**
 * Serves Temporal's own page to signed-in people, for reading only. Temporal's page has no login and checks no Host,
 * so it must not be reachable in any other way.
 * @param upstream its address: TEMPORAL_UI_ORIGIN
 */
export function temporalPageRouter(upstream: string, deps: Deps): Router {
  const router = Router();
  router.use(TEMPORAL_PAGE, async (req, res) => {
    try {
      await authenticate(req, 'people', deps);
    } catch (error) {
      const isPage = req.accepts(['application/json', 'text/html']) === 'text/html';
      if (!isPage || !(error instanceof MembridgeError) || error.code !== 'unauthorized') throw error;
      res.redirect(303, `${deps.config.basePath}/signin`);
      return;
    }
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      throw new MembridgeError(
        'forbidden',
        'Temporal’s page is for reading here. Change workflows with Membridge, or with the temporal program on the server.',
      );
    }
    await forward(upstream, deps.config.basePath, req, res);
  });
  return router;
}

/** Forwards one request. @throws MembridgeError engine_unavailable when Temporal's page does not answer */
async function forward(upstream: string, basePath: string, req: Request, res: Response): Promise<void> {
  const answer = await askTemporalPage(upstream, req).catch((cause: unknown) => {
    throw new MembridgeError(
      'engine_unavailable',
      `Temporal’s page does not answer: ${errorMessage(cause)}.`,
      {
        cause,
      },
    );
  });
  res.status(answer.statusCode ?? 502).set('Cache-Control', 'no-store');
  for (const name of RETURNED_HEADERS) {
    const value = answer.headers[name];
    if (typeof value === 'string') res.set(name, name === 'location' ? addBasePath(basePath, value) : value);
  }
  if (answer.headers['content-type']?.startsWith('text/html') !== true) {
    // A reader that disconnects ends the answer; no error needs a report.
    await pipeline(answer, res).catch(() => undefined);
    return;
  }
  const html = (await text(answer))
    // Temporal's page derives all its own addresses from these.
    .replaceAll(/"(\/[^"]*)"/g, (_, path: string) => `"${addBasePath(basePath, path)}"`)
    // The page names no icon. Browsers would then ask the host for one, which may be another program's.
    .replace(/<head\b[^>]*>/, `$&<link rel="icon" href="${basePath}/favicon.svg" />`);
  res.set('Content-Security-Policy', policyFor(html));
  res.set('Content-Length', String(Buffer.byteLength(html))).end(html);
}

/** Returns an address of Temporal's page as browsers find it: the page itself knows no base path. */
function addBasePath(basePath: string, path: string): string {
  return /^\/temporal(\/|$)/.test(path) ? `${basePath}${path}` : path;
}

async function askTemporalPage(upstream: string, req: Request): Promise<IncomingMessage> {
  const target = new URL(req.originalUrl, upstream);
  const headers = Object.fromEntries(
    FORWARDED_HEADERS.map((name) => [name, req.get(name)]).filter(([, value]) => value !== undefined),
  ) as Record<string, string>;
  const send = target.protocol === 'https:' ? httpsRequest : httpRequest;
  return await new Promise((resolve, reject) => {
    const asking = send(target, { method: req.method, headers, timeout: ANSWER_MS }, resolve);
    asking.on('error', reject);
    asking.on('timeout', () => asking.destroy(new Error(`no answer in ${ANSWER_MS / 1_000} s`)));
    asking.end();
  });
}

/**
 * Returns the content security policy of one of its HTML pages. It allows the page's own inline scripts by their
 * hashes, and otherwise only content from this server. So the content of a workflow cannot run as a script.
 */
function policyFor(html: string): string {
  const hashes = [...html.matchAll(/<script\b[^>]*>([\s\S]*?)<\/script>/gi)]
    .map(([, code = '']) => code)
    .filter((code) => code.trim() !== '')
    .map((code) => `'sha256-${createHash('sha256').update(code).digest('base64')}'`);
  return [
    "default-src 'self'",
    `script-src 'self' ${hashes.join(' ')}`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
}
