import { ControlPlane } from '../demo/fleet.ts';
import { startApi } from '../stack/membridge.ts';
import { loadServerSecrets, type ServerSecrets } from '../stack/secrets.ts';
import type { Service } from '../stack/service.ts';
import { startStack, type Stack } from '../stack/stack.ts';

/** A whole Membridge on this machine, for a benchmark. */
export interface Running {
  readonly stack: Stack;
  readonly api: Service & { url: string };
  readonly control: ControlPlane;
  readonly secrets: ServerSecrets;
  /** The time from nothing to the control plane's first answer, and the part of PostgreSQL, MinIO and Temporal in it. */
  readonly ms: { readonly parts: number; readonly ready: number };
  stop(): Promise<void>;
}

/** Starts everything on free ports. */
export async function start(root: string, dataDir: string, log: (line: string) => void): Promise<Running> {
  const began = performance.now();
  const env = { ...process.env, MEMBRIDGE_PORT: '0', MEMBRIDGE_REQUESTS_PER_MINUTE: '1000000' };
  const secrets = loadServerSecrets(dataDir, env);
  const ports = { postgres: 0, minio: 0, temporal: 0, temporalUi: 0 };
  const stack = await startStack({ dataDir, ports, env, log });
  const parts = performance.now() - began;
  const api = await startApi({ root, dataDir, env, secrets, stack });
  const ready = performance.now() - began;
  const stop = async (): Promise<void> => {
    await api.stop();
    await stack.stop();
  };
  return {
    stack,
    api,
    secrets,
    control: new ControlPlane(api.url, secrets.RUNTIME_API_KEY),
    ms: { parts, ready },
    stop,
  };
}
