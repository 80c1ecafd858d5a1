import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { syncAndWait } from '../../engine/memory-workflows.ts';
import { startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import { callEngine } from './engine-calls.ts';

let api: TestPlane;
beforeAll(async () => {
  api = await startTestPlane();
});
afterAll(async () => await api.stop());

test('answers that Temporal is busy when a workflow has ten updates in progress', async () => {
  const { engine } = api.plane.deps;
  const space = { cid: '0123456789abcdef', projectId: 'p', projects: ['*'] };
  const ask = async (number: number): Promise<unknown> =>
    // No agent serves this node, so every request waits.
    await callEngine(
      engine,
      (client) =>
        syncAndWait(
          client,
          { space, node: 'away' },
          { jobId: `job_${number}`, action: 'sync', trigger: 'api' },
        ),
      5_000,
    );
  const codes = await Promise.all(
    Array.from({ length: 13 }, (_, number) =>
      ask(number).catch((error: unknown) => (error as { code?: string }).code),
    ),
  );
  expect(new Set(codes)).toEqual(new Set(['engine_busy']));
});

test('answers that Temporal is unavailable when it does not respond', async () => {
  const { engine } = api.plane.deps;
  const address = { address: '127.0.0.1:9', namespace: 'default' };
  const gone = { ...engine, address, client: new Client({ connection: Connection.lazy(address) }) };
  await expect(
    callEngine(gone, (client) => client.workflow.getHandle('memory-space:x').describe(), 2_000),
  ).rejects.toMatchObject({ code: 'engine_unavailable', message: expect.stringContaining('127.0.0.1:9') });
});
