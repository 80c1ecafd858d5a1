import { RuntimeHealth } from '../../contract/http/api.ts';
import { OwnHealth, ownHealth } from '../health/own-health.ts';
import { defineRoute } from '../http/route.ts';

export const healthRoutes = [
  defineRoute({
    method: 'get',
    path: '/health',
    auth: 'none',
    tag: 'Health',
    summary: 'Get whether this process is ready',
    status: 200,
    response: OwnHealth,
    handle: async (_call, deps) => await ownHealth(deps),
  }),
  defineRoute({
    method: 'get',
    path: '/api/membridge/health',
    auth: 'none',
    tag: 'Health',
    summary: 'The same as GET /health of the control plane',
    status: 200,
    response: OwnHealth,
    handle: async (_call, deps) => await ownHealth(deps),
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/health',
    auth: 'none',
    tag: 'Health',
    summary:
      'Get the health of PostgreSQL, Temporal, the object store and the connection to the control plane; always 200',
    status: 200,
    response: RuntimeHealth,
    handle: async (_call, deps) => await deps.health.check(),
  }),
];
