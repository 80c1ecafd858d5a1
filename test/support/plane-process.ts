import { join } from 'node:path';
import { inject } from 'vitest';
import { startNodeProcess } from '../../stack/node-process.ts';
import { freePort } from '../../stack/ports.ts';
import { callApi, freshDatabase, planeEnvironment, type TestPlane } from './control-plane.ts';
import { freshNamespace } from './namespace.ts';

/** A control plane in a separate process. */
export interface PlaneProcess extends Pick<TestPlane, 'call' | 'stop'> {
  readonly plane: { readonly url: string };
  readonly pid: number;
}

/**
 * Starts the control plane of a checkout as a process, on a fresh database, bucket and Temporal namespace.
 * @param options.root the checkout; @param options.folder where its log goes
 */
export async function startPlaneProcess(options: {
  root: string;
  name: string;
  folder: string;
}): Promise<PlaneProcess> {
  const { root, name, folder } = options;
  const parts = inject('parts');
  const database = await freshDatabase(parts.databaseUrl);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const service = await startNodeProcess({
    name,
    script: join(root, 'api', 'main.ts'),
    dataDir: folder,
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      ...planeEnvironment(database.url, parts),
      TEMPORAL_NAMESPACE: await freshNamespace(parts.temporal.address),
      MEMBRIDGE_PORT: String(port),
      MEMBRIDGE_REQUESTS_PER_MINUTE: '100000',
    },
    ready: { url: `${url}/health` },
  });
  return {
    plane: { url },
    pid: service.pid,
    call: (method, path, callOptions) => callApi(url, method, path, callOptions),
    stop: async () => {
      await service.stop();
      await database.drop();
    },
  };
}
