import type { Route } from '../http/route.ts';

/** The routes of the original's runtime. As there, unknown fields of a body or query are dropped. */
const ORIGINAL_RUNTIME: ReadonlySet<string> = new Set([
  'get /api/runtime/config',
  'post /api/runtime/config',
  'post /api/runtime/test-connection',
  'get /api/runtime/workers',
  'post /api/runtime/workers',
  'get /api/runtime/workers/:id',
  'get /api/runtime/workers/:id/agent-health',
  'post /api/runtime/workers/:id/agent-update',
  'post /api/runtime/llm-tasks',
  'get /api/runtime/llm-tasks',
  'post /api/runtime/llm-tasks/:id/lease',
  'post /api/runtime/llm-tasks/:id/dispatch',
  'post /api/runtime/llm-tasks/:id/heartbeat',
  'post /api/runtime/llm-tasks/:id/complete',
  'get /api/runtime/leases',
  'get /api/runtime/runs',
  'get /api/runtime/artifacts',
  'get /api/runtime/audit',
  'post /api/runtime/projects',
  'post /api/runtime/projects/:id/clone',
  'post /api/runtime/projects/:id/propagate',
  'post /api/runtime/projects/:id/sync-memory',
  'post /api/membridge/projects/:cid/leadership/select',
]);

/** Returns whether a route ignores unknown fields, as the original's routes do. */
export function isTolerant({ method, path }: Pick<Route, 'method' | 'path'>): boolean {
  return ORIGINAL_RUNTIME.has(`${method} ${path}`);
}
