import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { RECORD_TO } from './replay/record.ts';
import { removeStackData, startStack } from '../stack/stack.ts';

/** Addresses of the real PostgreSQL, Temporal and MinIO that all tests of a run share. */
export interface Parts {
  readonly databaseUrl: string;
  readonly temporal: {
    readonly address: string;
    readonly namespace: string;
    readonly uiUrl?: string | undefined;
  };
  readonly minio: { readonly endpoint: string; readonly accessKey: string; readonly secretKey: string };
}

declare module 'vitest' {
  interface ProvidedContext {
    parts: Parts;
  }
}

/** Starts the parts once for the whole run; every test makes its own database, bucket and namespace. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = mkdtempSync(join(tmpdir(), 'membridge-test-'));
  // Recorded histories must include what happens when a history grows long.
  const isRecording = process.env[RECORD_TO] !== undefined;
  const stack = await startStack({
    dataDir,
    ...(isRecording ? { temporalSettings: ['limit.historyCount.suggestContinueAsNew=30'] } : {}),
    ports: { postgres: 0, minio: 0, temporal: 0, temporalUi: 0 },
    env: process.env,
    log: (line) => process.stderr.write(`${line}\n`),
  });
  const { databaseUrl, temporal, minio } = stack;
  project.provide('parts', { databaseUrl, temporal, minio });
  return async () => {
    await stack.stop();
    removeStackData(dataDir);
  };
}
