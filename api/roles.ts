import { MembridgeError } from '../contract/errors.ts';
import type { Role } from '../contract/roles.ts';
import { forwardRoute } from './remote/forward.ts';
import type { Route } from './http/route.ts';

/** Paths that every process serves: its health, sessions, events. */
const PATHS_OF_EVERY_ROLE = [
  '/health',
  '/metrics',
  '/api/runtime/health',
  '/api/session',
  '/api/sessions',
  '/api/sessions/:id',
  '/api/events',
];

/**
 * Returns the role that serves a path, or null when every process does. Nodes enrol at the control plane, so their
 * tokens are made there. They open their sockets there too, so it passes calls on to them.
 */
export function roleOfPath(path: string): Role | null {
  if (PATHS_OF_EVERY_ROLE.includes(path)) return null;
  if (path === '/api/runtime/enrolment-tokens') return 'control';
  if (path.startsWith('/api/runtime/workers/:id/calls/')) return 'control';
  return path.startsWith('/api/runtime/') ? 'runtime' : 'control';
}

/**
 * Returns a route as a process with these roles serves it. It is served directly, forwarded to the remote control
 * plane, or refused with an error that names the other process.
 */
export function routeForRoles(route: Route, roles: ReadonlySet<Role>): Route {
  const role = roleOfPath(route.path);
  if (role === null || roles.has(role)) return route;
  if (route.path.startsWith('/api/membridge/')) return forwardRoute(route);
  const { method, path, tag, summary } = route;
  return { method, path, tag, summary, auth: 'none', status: 404, handle: refuseUnserved(route, role) };
}

function refuseUnserved({ method, path }: Route, role: Role): Route['handle'] {
  const other =
    role === 'control'
      ? 'is a path of the control plane, and this process is only a runtime'
      : 'is a path of the runtime, and this process is only a control plane';
  const message = `${method.toUpperCase()} ${path} ${other} (MEMBRIDGE_ROLES does not name ${role}). Ask the other process.`;
  return () => Promise.reject(new MembridgeError('not_found', message));
}
