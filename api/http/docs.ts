import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import express, { Router } from 'express';
import { errorsPage } from '../error-reference.ts';
import { openApiDocument } from './openapi.ts';

const docsPage = (basePath: string): string => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Membridge API</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="${basePath}/docs/swagger-ui.css" />
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="${basePath}/docs/swagger-ui-bundle.js"></script>
    <script src="${basePath}/docs/start.js"></script>
  </body>
</html>
`;

const swaggerScript = (
  basePath: string,
): string => `SwaggerUIBundle({ url: '${basePath}/openapi.json', dom_id: '#swagger-ui', validatorUrl: null, deepLinking: true, displayRequestDuration: true, tagsSorter: 'alpha' });
`;

/**
 * Serves the API's description at /openapi.json, a page to read and try it at /docs, and an explanation of every error
 * at /docs/errors. Everything comes from this server; no CDN.
 * @param basePath the path below which browsers find everything, or ''
 */
export function docsRouter(basePath: string): Router {
  const router = Router();
  const document = JSON.stringify(openApiDocument(basePath));
  router.get('/openapi.json', (_req, res) => {
    res.type('application/json').set('Cache-Control', 'no-cache').send(document);
  });
  router.get('/docs', (_req, res) => {
    res.type('html').set('Cache-Control', 'no-cache').send(docsPage(basePath));
  });
  router.get('/docs/errors', (_req, res) => {
    res.type('html').set('Cache-Control', 'no-cache').send(errorsPage(basePath));
  });
  router.get('/docs/start.js', (_req, res) => {
    res.type('js').send(swaggerScript(basePath));
  });
  const files = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js']) {
    router.use(`/docs/${file}`, express.static(`${files}/${file}`, { maxAge: '1d' }));
  }
  return router;
}
