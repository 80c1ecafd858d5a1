import type { ControlPlaneConnection } from '../../contract/runtime-config.ts';
import type { Deps } from '../deps.ts';

/** How the connection to the control plane is. A process that is its own is always connected. */
export function connectionOf({
  config,
  remote,
  now,
}: Pick<Deps, 'config' | 'remote' | 'now'>): ControlPlaneConnection {
  if (!config.roles.has('control')) return { ...remote.state(), remote: true };
  const well = { consecutiveFailures: 0, lastError: null, connected: true, circuit: 'closed' } as const;
  return { ...well, lastSuccess: now(), remote: false };
}
