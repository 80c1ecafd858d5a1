import { existsSync } from 'node:fs';
import { join } from 'node:path';
import express, { Router, type RequestHandler } from 'express';

/** The page's own addresses: the page itself decides what each shows. */
const PAGES = ['/', '/signin', '/runtime', '/membridge', '/nodes'];

const NOT_BUILT =
  'The web page is not built. Run `npm run build:web`, then reload. The API works without it; its description is at /docs.\n';

/**
 * Serves the built page.
 * @param webDir where Vite put it; MEMBRIDGE_WEB_DIR
 */
export function webRouter(webDir: string): Router {
  const router = Router();
  const index = join(webDir, 'index.html');
  const page: RequestHandler = (_req, res, next) => {
    // Looked at on each request, so that a page built later appears without a restart.
    if (!existsSync(index)) {
      res.status(503).type('text/plain').send(NOT_BUILT);
      return;
    }
    // The page names its assets by content, so it alone must always be fresh.
    res.set('Cache-Control', 'no-cache').sendFile(index, (error) => {
      if (error !== undefined && !res.headersSent) next(error);
    });
  };
  router.get('/ui', (_req, res) => res.redirect(307, '/membridge'));
  router.get(PAGES, page);
  router.get(['/runtime/*rest', '/membridge/*rest', '/nodes/*rest'], page);
  router.use(
    '/assets',
    express.static(join(webDir, 'assets'), { immutable: true, maxAge: '365d', index: false }),
  );
  router.use(express.static(webDir, { index: false, maxAge: '1h' }));
  return router;
}
