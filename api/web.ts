import { existsSync } from 'node:fs';
import { join } from 'node:path';
import express, { Router, type Request, type RequestHandler, type Response } from 'express';

/** The page's own addresses: the page itself decides what each shows. */
const PAGES = ['/', '/signin', '/runtime', '/membridge', '/nodes'];

const NOT_BUILT =
  'The web page is not built. Run `npm run build:web`, then reload. The API works without it; its description is at /docs.\n';

/**
 * Serves the built page. A browser that asks for an address which nothing has gets the page too, with status 404: it
 * says so in its own words.
 * @param webDir where Vite put it; MEMBRIDGE_WEB_DIR
 * @param apiRoots first segments of the API's paths; below them an unknown address is an error of the API
 */
export function webRouter(webDir: string, apiRoots: ReadonlySet<string>): Router {
  const router = Router();
  const index = join(webDir, 'index.html');
  const send = (res: Response, next: (error: Error) => void, status: number): void => {
    // Looked at on each request, so that a page built later appears without a restart.
    if (!existsSync(index)) {
      res.status(503).type('text/plain').send(NOT_BUILT);
      return;
    }
    // The page names its assets by content, so it alone must always be fresh.
    res
      .status(status)
      .set('Cache-Control', 'no-cache')
      .sendFile(index, (error) => {
        if (error !== undefined && !res.headersSent) next(error);
      });
  };
  const page: RequestHandler = (_req, res, next) => send(res, next, 200);
  router.get('/ui', (_req, res) => res.redirect(307, '/membridge'));
  router.get(PAGES, page);
  router.get(['/runtime/*rest', '/membridge/*rest', '/nodes/*rest'], page);
  router.use(
    '/assets',
    express.static(join(webDir, 'assets'), { immutable: true, maxAge: '365d', index: false }),
  );
  router.use(express.static(webDir, { index: false, maxAge: '1h' }));
  router.get('/*rest', (req, res, next) => {
    if (apiRoots.has(firstSegment(req.path)) || !prefersHtml(req)) next();
    else send(res, next, 404);
  });
  return router;
}

/** The first segment of a path: `jobs` of `/jobs/1`. */
export function firstSegment(path: string): string {
  return path.split('/')[1] ?? '';
}

/** Whether a person's browser asks: scripts take anything, or JSON. */
function prefersHtml(req: Request): boolean {
  return req.accepts(['application/json', 'text/html']) === 'text/html';
}
