/** New root keys for the MinIO that this machine runs. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { replaceStoreKeys } from './secrets.ts';

/**
 * Replaces the keys of MinIO in `<dataDir>/stack.json`. MinIO takes them at its next start, and refuses the former
 * ones from then on. Objects stay.
 * @throws Error where this machine runs no MinIO
 */
export function rotateStoreKey(dataDir: string, env: NodeJS.ProcessEnv): void {
  if (env.MINIO_ENDPOINT) {
    throw new Error(
      `The object store is ${env.MINIO_ENDPOINT} (MINIO_ENDPOINT), not a part of this server. Make a new key there, set MINIO_ACCESS_KEY and MINIO_SECRET_KEY in the server's settings, restart the server, and delete the former key there.`,
    );
  }
  const file = join(dataDir, 'stack.json');
  if (!existsSync(file)) {
    throw new Error(
      `There is no ${file}, so no server of this folder has an object store. Name the server's folder in MEMBRIDGE_DATA_DIR; with Docker, change MINIO_SECRET_KEY in .env and run "docker compose up -d".`,
    );
  }
  replaceStoreKeys(dataDir);
}
