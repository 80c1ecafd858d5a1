/**
 * Serves the control plane behind a proxy that shows it below a path of its host: `https://host/membridge/`.
 * MEMBRIDGE_PUBLIC_URL names that path. Some proxies remove it before they forward a request, others keep it. Both
 * work, and so do callers that reach this server without the proxy.
 */

/** A base path is written into HTML and into a cookie, so it may hold only characters without a meaning there. */
const SAFE_PATH = /^(\/[\w.~-]+)*$/;

/**
 * First segments of this server's own paths. As a base path, such a segment would be removed twice behind a proxy
 * that removes it.
 */
const TAKEN_SEGMENTS: ReadonlySet<string> = new Set([
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

/** The only address of the page that looks like an API path once a base path of `/membridge` is removed. */
const PAGE_OF_PROJECTS = '/membridge/projects';

/**
 * Returns the path of MEMBRIDGE_PUBLIC_URL: `/membridge`, or '' at the root of its host. @param publicUrl without a
 * final slash
 */
export function parseBasePath(publicUrl: string | null): string {
  return publicUrl === null ? '' : new URL(publicUrl).pathname.replace(/\/+$/, '');
}

/** Returns why a path cannot be a base path; null when it can. */
export function objectToBasePath(path: string): string | null {
  if (!SAFE_PATH.test(path)) return 'must have a path of only letters, digits, "-", "_", "." and "~"';
  if (!TAKEN_SEGMENTS.has(path.split('/')[1] ?? '') && !isBelow(path, PAGE_OF_PROJECTS)) return null;
  return `has the path ${path}, which this server uses itself; choose another, such as /membridge`;
}

/**
 * Removes the base path from a request's address, where the proxy left it there.
 * @param url the request's path with its query
 * @param accept its Accept header
 */
export function withoutBasePath(url: string, basePath: string, accept: string): string {
  if (basePath === '' || !isBelow(url, basePath)) return url;
  // The proxy may have removed the base path already. Then a browser gets the page, and a script the API.
  if (isBelow(url, PAGE_OF_PROJECTS) && accept.includes('text/html')) return url;
  const rest = url.slice(basePath.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** Returns whether an address is a path or lies below it. */
function isBelow(url: string, path: string): boolean {
  return url.startsWith(path) && /^([/?]|$)/.test(url.slice(path.length));
}
