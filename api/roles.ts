import { MembridgeError } from '../contract/errors.ts';
import type { Role } from '../contract/roles.ts';
import { forwarded } from './remote/forward.ts';
import type { Route } from './http/route.ts';

/** Paths that any process serves: how it is, who is signed in, what changes. */
const ALWAYS = [
  '/health',
  '/metrics',
  '/api/runtime/health',
  '/api/session',
  '/api/sessions',
  '/api/sessions/:id',
  '/api/events',
];

/** The role that serves a path, or null when every process does. A node joins the control plane, so its tokens are made there. */
export function roleOfPath(path: string): Role | null {
  if (ALWAYS.includes(path)) return null;
  if (path === '/api/runtime/enrolment-tokens') return 'control';
  return path.startsWith('/api/runtime/') ? 'runtime' : 'control';
}

/**
 * A route as a process of some roles serves it: itself; by asking the control plane elsewhere; or not at all, which it says.
 */
export function routeForRoles(route: Route, roles: ReadonlySet<Role>): Route {
  const role = roleOfPath(route.path);
  if (role === null || roles.has(role)) return route;
  if (route.path.startsWith('/api/membridge/')) return forwarded(route);
  const { method, path, tag, summary } = route;
  return { method, path, tag, summary, auth: 'none', status: 404, handle: notServed(route, role) };
}

function notServed({ method, path }: Route, role: Role): Route['handle'] {
  const other =
    role === 'control'
      ? 'is a path of the control plane, and this process is a runtime alone'
      : 'is a path of the runtime, and this process is a control plane alone';
  const message = `${method.toUpperCase()} ${path} ${other} (MEMBRIDGE_ROLES does not name ${role}). Ask the other process.`;
  return () => Promise.reject(new MembridgeError('not_found', message));
}
