import { z } from 'zod';
import { RuntimeHealth } from '../../contract/api.ts';
import { readStats } from '../../db/queries/read-stats.ts';
import type { Deps } from '../deps.ts';
import { defineRoute } from '../route.ts';
import { VERSION } from '../version.ts';

/** The original's `GET /health`. */
const Health = z.strictObject({
  status: z.literal('ok'),
  service: z.literal('membridge-control-plane'),
  version: z.string(),
  projects: z.number().int(),
  agents: z.number().int(),
});

async function health(deps: Deps): Promise<z.infer<typeof Health>> {
  const { spaces, nodes } = await readStats(deps.db, { now: deps.now() });
  return {
    status: 'ok',
    service: 'membridge-control-plane',
    version: VERSION,
    projects: spaces,
    agents: nodes.total,
  };
}

export const healthRoutes = [
  defineRoute({
    method: 'get',
    path: '/health',
    auth: 'none',
    tag: 'Health',
    summary: 'Whether the control plane serves',
    status: 200,
    response: Health,
    handle: async (_call, deps) => await health(deps),
  }),
  defineRoute({
    method: 'get',
    path: '/api/membridge/health',
    auth: 'people',
    tag: 'Health',
    summary: 'The same as GET /health',
    status: 200,
    response: Health,
    handle: async (_call, deps) => await health(deps),
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/health',
    auth: 'none',
    tag: 'Health',
    summary: 'PostgreSQL, Temporal and the object store, each really asked; always 200',
    status: 200,
    response: RuntimeHealth,
    handle: async (_call, deps) => await deps.health.check(),
  }),
];
