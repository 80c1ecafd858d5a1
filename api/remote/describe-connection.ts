import type { ControlPlaneConnection } from '../../contract/runtime-config.ts';
import type { Config } from '../config.ts';
import type { RemoteClient } from './client.ts';

/** Returns the state of the connection to the control plane. A process that is its own control plane is always connected. */
export function describeConnection({
  config,
  remote,
  now,
}: {
  config: Config;
  remote: RemoteClient;
  now: () => number;
}): ControlPlaneConnection {
  if (!config.roles.has('control')) return { ...remote.state(), remote: true };
  const well = { consecutiveFailures: 0, lastError: null, connected: true, circuit: 'closed' } as const;
  return { ...well, lastSuccess: now(), remote: false };
}
