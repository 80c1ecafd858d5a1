/** MinIO on loopback: the object store for memory segments, snapshots and artifacts. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'minio';
import { withoutPrefix } from './environment.ts';
import { freePort, requireFreePort } from './ports.ts';
import { startService, type Service } from './service.ts';
import { findTool } from './tools.ts';

export interface MinioOptions {
  dataDir: string;
  /** The port on 127.0.0.1; 0 picks a free one. */
  port: number;
  accessKey: string;
  secretKey: string;
  log: (line: string) => void;
  /** The server program; found, or built, by default. */
  program?: string;
}

export interface Minio extends Service {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string;
  readonly port: number;
}

/**
 * Starts MinIO on 127.0.0.1 with its objects in `<dataDir>/minio`; no console, no update checks.
 * @throws when the port is taken (naming MEMBRIDGE_MINIO_PORT), or it does not start (quoting its log)
 */
export async function startMinio(options: MinioOptions): Promise<Minio> {
  const { dataDir, accessKey, secretKey, log } = options;
  const port = options.port || (await freePort());
  const file = options.program ?? (await findTool('minio', log));
  const objects = join(dataDir, 'minio');
  const home = join(dataDir, 'minio-home');
  const retryOptions = { disableRetry: true };
  const client = new Client({
    endPoint: '127.0.0.1',
    port,
    useSSL: false,
    accessKey,
    secretKey,
    retryOptions,
  });
  return startService(
    {
      name: 'minio',
      dataDir,
      prepare: async () => {
        await requireFreePort(port, 'MinIO', 'MEMBRIDGE_MINIO_PORT');
        for (const folder of [objects, home]) mkdirSync(folder, { recursive: true, mode: 0o700 });
      },
      command: () => ({
        file,
        args: ['server', objects, '--address', `127.0.0.1:${port}`],
        env: {
          ...withoutPrefix(process.env, 'MINIO_'),
          // MinIO keeps a folder .minio in the home folder.
          HOME: home,
          MINIO_ROOT_USER: accessKey,
          MINIO_ROOT_PASSWORD: secretKey,
          MINIO_BROWSER: 'off',
          MINIO_UPDATE: 'off',
        },
      }),
      // A list with our keys proves that it answers, that its disk is ready, and that it is ours.
      probe: async () => {
        await client.listBuckets();
      },
    },
    { endpoint: `http://127.0.0.1:${port}`, port },
  );
}
