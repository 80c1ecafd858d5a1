/**
 * Where this server is when a proxy shows it below a path of its host: `https://host/membridge/`. MEMBRIDGE_PUBLIC_URL names that path.
 * Some proxies take it off before they pass a request on, others leave it: both are served, and so are callers that reach this
 * server without the proxy.
 */

/** A base path is written into HTML and into a cookie: it has only characters that mean nothing there. */
const SAFE = /^(\/[\w.~-]+)*$/;

/** First segments of paths that this server has itself: behind a proxy that takes a base path off, such a path would lose it twice. */
const TAKEN: ReadonlySet<string> = new Set([
  'agent',
  'agents',
  'api',
  'assets',
  'docs',
  'health',
  'jobs',
  'metrics',
  'nodes',
  'openapi.json',
  'projects',
  'runtime',
  'signin',
  'sync',
  'temporal',
  'ui',
]);

/** The one address of the page that looks like a path of the API once a base path of `/membridge` is off. */
const PAGE_OF_PROJECTS = '/membridge/projects';

/** Gives the path of MEMBRIDGE_PUBLIC_URL: `/membridge`, or '' at the root of its host. @param publicUrl without a slash at its end */
export function basePathOf(publicUrl: string | null): string {
  return publicUrl === null ? '' : new URL(publicUrl).pathname.replace(/\/+$/, '');
}

/** Says why a path cannot be a base path, or gives null when it can. */
export function objectToBasePath(path: string): string | null {
  if (!SAFE.test(path)) return 'must have a path of letters, digits, "-", "_", "." and "~" alone';
  if (!TAKEN.has(path.split('/')[1] ?? '') && !isBelow(path, PAGE_OF_PROJECTS)) return null;
  return `has the path ${path}, which this server uses itself; choose another, such as /membridge`;
}

/**
 * Takes the base path off what a request asks for, where the proxy left it there.
 * @param url the request's path with its query
 * @param accept its Accept header
 */
export function withoutBasePath(url: string, basePath: string, accept: string): string {
  if (basePath === '' || !isBelow(url, basePath)) return url;
  // The proxy may have taken the base path off already. A browser gets the page then, and a script the API.
  if (isBelow(url, PAGE_OF_PROJECTS) && accept.includes('text/html')) return url;
  const rest = url.slice(basePath.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** Whether a path, perhaps with a query, is another or leads below it. */
function isBelow(url: string, path: string): boolean {
  return url.startsWith(path) && /^([/?]|$)/.test(url.slice(path.length));
}
