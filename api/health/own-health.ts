import { z } from 'zod';
import { ControlPlaneHealth } from '../../contract/runtime-config.ts';
import { readStats } from '../../db/queries/read-stats.ts';
import type { Config } from '../config.ts';
import type { Deps } from '../deps.ts';
import { VERSION } from '../version.ts';

/** The original's `GET /health`; a runtime-only process names itself as one. */
export const OwnHealth = z.strictObject({
  ...ControlPlaneHealth.shape,
  status: z.literal('ok'),
  service: z.enum(['membridge-control-plane', 'bloom-runtime']),
});

/** Returns this process's report about itself. */
export async function ownHealth({
  config,
  db,
  now,
}: Pick<Deps, 'config' | 'db' | 'now'>): Promise<z.infer<typeof OwnHealth>> {
  const { spaces, nodes } = await readStats(db, { now: now() });
  return {
    status: 'ok',
    service: serviceName(config),
    version: VERSION,
    projects: spaces,
    agents: nodes.total,
  };
}

/** Returns the name of this process, by its roles. */
export function serviceName({ roles }: Pick<Config, 'roles'>): z.infer<typeof OwnHealth>['service'] {
  return roles.has('control') ? 'membridge-control-plane' : 'bloom-runtime';
}
