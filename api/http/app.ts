import { randomBytes } from 'node:crypto';
import compression from 'compression';
import express, { type Express, type RequestHandler } from 'express';
import { rateLimit } from 'express-rate-limit';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pinoHttp } from 'pino-http';
import type { Logger } from 'pino';
import { MembridgeError } from '../../contract/errors.ts';
import type { Deps } from '../deps.ts';
import { docsRouter } from './docs.ts';
import { redirectToHttps, requireOwnHost, securityHeaders } from './guards.ts';
import { handleErrors, sendProblem, refuseUnknownPath } from './problems.ts';
import { routeForRoles } from '../roles.ts';
import { ROUTES } from '../routes/index.ts';
import { serveRoute } from './serve-route.ts';
import { temporalPageRouter } from './temporal-page.ts';
import { firstSegment, webRouter } from './web.ts';

/** Makes the HTTP application of the control plane. It does not listen yet. */
export function createApp(deps: Deps): Express {
  const app = express();
  const { basePath } = deps.config;
  app.disable('x-powered-by');
  app.locals['basePath'] = basePath;
  app.set('trust proxy', deps.config.trustProxy);
  app.set('query parser', 'simple');
  app.use(requestLog(deps.logger));
  app.use(securityHeaders(deps.config));
  app.use(measure(deps));
  app.use(redirectToHttps(deps.config));
  app.use(requireOwnHost(deps.config));
  const limit = requestLimit(deps.config.requestsPerMinute);
  const parseJson = express.json({ limit: '1mb' });
  const compress = compression();
  for (const declared of ROUTES) {
    const route = routeForRoles(declared, deps.config.roles);
    // Streams stay uncompressed: compression would hold an event back until a block is full.
    const before: RequestHandler[] = route.content === undefined ? [compress] : [];
    if (route.unlimited !== true) before.push(limit);
    if (route.perMinute !== undefined) before.push(requestLimit(route.perMinute));
    app[route.method](route.path, ...before, serveRoute(route, deps, parseJson));
  }
  if (deps.config.temporalUiOrigin !== null) {
    app.use(temporalPageRouter(deps.config.temporalUiOrigin, deps));
  }
  app.use(compress);
  app.use(docsRouter(basePath));
  if (deps.config.roles.has('runtime')) {
    const apiRoots = new Set(ROUTES.map((route) => firstSegment(route.path)));
    app.use(webRouter({ webDir: deps.config.webDir, apiRoots, basePath }));
  }
  app.use(refuseUnknownPath(basePath));
  app.use(handleErrors(deps.logger));
  return app;
}

/**
 * Logs one line for each request, under an id that the caller may choose. It logs no header values, bodies or query
 * (which may hold ids).
 */
function requestLog(logger: Logger): RequestHandler {
  return pinoHttp({
    logger,
    genReqId: (req: IncomingMessage, res: ServerResponse) => {
      const given = req.headers['x-request-id'];
      const id =
        typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : randomBytes(6).toString('hex');
      res.setHeader('X-Request-ID', id);
      return id;
    },
    serializers: {
      req: (req: { id: unknown; method: string; url: string }) => ({
        id: req.id,
        method: req.method,
        path: req.url.split('?')[0],
      }),
      res: (res: { statusCode: number }) => ({ status: res.statusCode }),
    },
    // For every 5xx pino-http makes an error with its own stack; handleErrors logs the real one.
    customErrorObject: (_req, _res, _error, line: object) => ({ ...line, err: undefined }),
    customLogLevel: (_req, res, error) => {
      if (error !== undefined || res.statusCode >= 500) return 'warn';
      return res.statusCode >= 400 ? 'info' : 'debug';
    },
  });
}

/** Records how long each request took, by its declared route: paths with ids would make endless series. */
function measure(deps: Deps): RequestHandler {
  return (req, res, next) => {
    const started = performance.now();
    res.once('close', () => {
      const route = (req.route as { path?: unknown } | undefined)?.path;
      if (res.getHeader('Content-Type')?.toString().startsWith('text/event-stream') === true) return;
      deps.metrics.httpSeconds.observe(
        { method: req.method, route: typeof route === 'string' ? route : 'other', status: res.statusCode },
        (performance.now() - started) / 1_000,
      );
    });
    next();
  };
}

function requestLimit(perMinute: number): RequestHandler {
  return rateLimit({
    windowMs: 60_000,
    limit: perMinute,
    standardHeaders: 'draft-7',
    legacyHeaders: false,
    handler: (_req, res) => {
      sendProblem(res, new MembridgeError('too_many_requests', 'Too many requests, please try again later'));
    },
  });
}
