import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import express, { Router, type Request, type RequestHandler, type Response } from 'express';

/** Addresses of the page itself, which decides what each one shows. */
const PAGE_PATHS = ['/', '/index.html', '/signin', '/runtime', '/membridge', '/nodes'];

const NOT_BUILT =
  'The web page is not built. Run `npm run build:web`, then reload. The API works without it; its description is at /docs.\n';

/**
 * Serves the built page. A browser that asks for an unknown address also gets the page, with status 404; the page
 * then says so itself.
 * @param options.webDir where Vite wrote it; MEMBRIDGE_WEB_DIR
 * @param options.apiRoots first segments of the API's paths; an unknown address below them is an error of the API
 * @param options.basePath the path below which browsers find everything, or ''
 */
export function webRouter(options: {
  webDir: string;
  apiRoots: ReadonlySet<string>;
  basePath: string;
}): Router {
  const { webDir, apiRoots, basePath } = options;
  const router = Router();
  const index = join(webDir, 'index.html');
  const send = async (res: Response, status: number): Promise<void> => {
    // Read on each request, so that a page built later appears without a restart.
    const html = await readFile(index, 'utf8').catch(() => null);
    if (html === null) {
      res.status(503).type('text/plain').send(NOT_BUILT);
      return;
    }
    // The page names its assets by content, so only the page itself must always be fresh.
    res.status(status).type('html').set('Cache-Control', 'no-cache').send(withBasePath(html, basePath));
  };
  const page: RequestHandler = async (_req, res) => await send(res, 200);
  router.get('/ui', (_req, res) => res.redirect(307, `${basePath}/membridge`));
  router.get(PAGE_PATHS, page);
  router.get(['/runtime/*rest', '/membridge/*rest', '/nodes/*rest'], page);
  // An asset's name holds a hash of its content, so a browser never needs to request it again.
  const assets = { immutable: true, maxAge: '365d' };
  router.use('/assets', compressedFiles(join(webDir, 'assets'), assets));
  // A missing asset must not return the page: a browser would run it as a script.
  router.use('/assets', (_req, res) => {
    res.status(404).type('text/plain').set('Cache-Control', 'no-store').send('There is no such file.\n');
  });
  router.use(compressedFiles(webDir, { maxAge: '1h' }));
  router.get('/*rest', async (req, res, next) => {
    if (apiRoots.has(firstSegment(req.path)) || !prefersHtml(req)) next();
    else await send(res, 404);
  });
  return router;
}

/**
 * Writes the base path into the page. Vite names files relative to the page, which has many addresses, so they become
 * absolute paths.
 */
function withBasePath(html: string, basePath: string): string {
  return html
    .replaceAll(/\b(href|src)="\.\//g, `$1="${basePath}/`)
    .replace('name="membridge-base-path" content=""', `name="membridge-base-path" content="${basePath}"`);
}

/** The compressed files that the build writes beside each file, smallest first: encoding and extension. */
const ENCODINGS = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const;

/** Serves the files of a folder. A browser that accepts compression gets the compressed file from the build. */
function compressedFiles(folder: string, caching: { maxAge: string; immutable?: boolean }): RequestHandler[] {
  const compressed = ENCODINGS.map(([encoding, extension]): RequestHandler => {
    const serve = express.static(folder, {
      ...caching,
      index: false,
      redirect: false,
      setHeaders: (res: Response, path) => {
        res.type(extname(path.slice(0, -extension.length))).set('Content-Encoding', encoding);
      },
    });
    return (req, res, next) => {
      res.vary('Accept-Encoding');
      if (req.acceptsEncodings(encoding) === false) return next();
      const { url } = req;
      req.url = url.replace(/(?=\?|$)/, extension);
      serve(req, res, (error?: unknown) => {
        req.url = url;
        next(error);
      });
    };
  });
  return [...compressed, express.static(folder, { ...caching, index: false })];
}

/** Returns the first segment of a path: `jobs` of `/jobs/1`. */
export function firstSegment(path: string): string {
  return path.split('/')[1] ?? '';
}

/** Returns whether a person's browser sent the request: scripts accept anything, or JSON. */
function prefersHtml(req: Request): boolean {
  return req.accepts(['application/json', 'text/html']) === 'text/html';
}
