import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import { ControlPlaneHealth, type TestConnectionResponse } from '../../contract/runtime-config.ts';
import type { AuditBy } from '../../db/queries/record-audit.ts';
import type { Deps } from '../deps.ts';
import { ownHealth } from '../health/own-health.ts';
import type { RemoteClient, RemoteTarget } from './client.ts';
import { refusedError } from './errors.ts';
import { requireTarget, readTarget, saveTest } from './kept-target.ts';

/**
 * Asks the configured control plane for its health, checks that it accepts the key, and stores the result. Only the
 * fields of a control plane's health are returned, so that nobody can read another server's answers through this.
 * @param signal aborts when nobody waits for the answer any longer
 */
export async function testConnection(
  deps: Pick<Deps, 'config' | 'db' | 'now' | 'remote'>,
  signal: AbortSignal,
  by: AuditBy,
): Promise<TestConnectionResponse> {
  const outcome = await look(deps, signal);
  await saveTest(deps, { at: deps.now(), error: outcome.connected ? null : outcome.error, by });
  return outcome;
}

async function look(
  deps: Pick<Deps, 'config' | 'db' | 'now' | 'remote'>,
  signal: AbortSignal,
): Promise<TestConnectionResponse> {
  const kept = await readTarget(deps);
  if (kept.url === null && deps.config.roles.has('control')) {
    return { connected: true, health: ControlPlaneHealth.parse(await ownHealth(deps)) };
  }
  try {
    const target = requireTarget(kept);
    return { connected: true, health: await askHealth(deps.remote, target, signal) };
  } catch (error) {
    if (!(error instanceof MembridgeError)) throw error;
    return { connected: false, error: errorMessage(error) };
  }
}

/**
 * Checks that a control plane answers and accepts the key.
 * @throws MembridgeError control_plane_unreachable or control_plane_refused
 */
export async function askHealth(
  remote: RemoteClient,
  target: RemoteTarget,
  signal?: AbortSignal,
): Promise<ControlPlaneHealth> {
  const call = { method: 'GET', byHand: true, ...(signal === undefined ? {} : { signal }) } as const;
  const { status, body } = await remote.call(target, { ...call, segments: ['health'] });
  const health = ControlPlaneHealth.safeParse(body);
  if (!health.success) {
    throw refusedError(target.url, `it is not a control plane of Membridge (GET /health answers ${status})`);
  }
  // The health needs no key; this second call checks the key.
  const projects = await remote.call(target, { ...call, segments: ['projects'] });
  if (projects.status !== 200) throw refusedError(target.url, `GET /projects answers ${projects.status}`);
  return health.data;
}
