import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowClient, type Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { CONTROL_QUEUE, SEARCH_ATTRIBUTES } from '../contract/names.ts';
import { startTemporal, type Temporal } from '../stack/temporal.ts';
import { startTestPlane } from '../test/support/control-plane.ts';
import { taskCalls } from '../test/tasks/calls.ts';
import { startTestMachine } from '../test/support/agent-machine.ts';
import { freshNamespace } from '../test/support/namespace.ts';
import { connectEngine, prepareSearchAttributes, type Engine } from './connect.ts';
import { searchAttributes } from './search-attributes.ts';

let folder: string;
let production: Temporal;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-attributes-'));
  // The development server checks for new attributes at every call. A production server, as simulated here,
  // does so periodically.
  const settings = [
    'system.forceSearchAttributesCacheRefreshOnRead=false',
    'system.namespaceCacheRefreshInterval="5s"',
  ];
  const log = (line: string): boolean => process.stderr.write(`${line}\n`);
  production = await startTemporal({ dataDir: folder, port: 0, uiPort: 0, log, settings });
});
afterAll(async () => {
  await production.stop();
  rmSync(folder, { recursive: true, force: true });
});

const about = searchAttributes({ project: 'a', node: 'b', task: 'c', space: 'd', pool: 'e' });

async function withEngine(namespace: string, work: (engine: Engine) => Promise<void>): Promise<void> {
  const engine = await connectEngine({ address: production.address, namespace });
  try {
    await work(engine);
  } finally {
    await engine.close();
  }
}

test('a first start waits until Temporal accepts workflows with newly registered attributes', async () => {
  const reports: string[] = [];
  // The server's periodic check may fall between registration and start, but not three times.
  for (let round = 0; round < 3 && reports.length === 0; round += 1) await firstStart(reports);
  expect(reports[0]).toMatch(/^Temporal does not know the search attribute Membridge\w+ yet$/);
});

async function firstStart(reports: string[]): Promise<void> {
  const namespace = await freshNamespace(production.address);
  await withEngine(namespace, async (engine) => {
    const { absent } = await prepareSearchAttributes(engine, (reason) => reports.push(reason));
    expect(absent).toBeNull();
    // A client without the interceptors that leave attributes out.
    const { connection } = engine.client;
    const raw = new WorkflowClient({ connection, namespace });
    const workflowId = randomUUID();
    await raw.start('any', { workflowId, taskQueue: 'nobody', typedSearchAttributes: about });
    const { typedSearchAttributes } = await raw.getHandle(workflowId).describe();
    expect(typedSearchAttributes.getAll()).toHaveLength(5);
  });
}

test('a client starts, signals, updates and schedules without an attribute that its frontend does not know yet', async () => {
  const namespace = await freshNamespace(production.address);
  await withEngine(namespace, async ({ client }) => {
    const options = { taskQueue: CONTROL_QUEUE, typedSearchAttributes: about };
    const [started, signaled, scheduled] = [randomUUID(), randomUUID(), randomUUID()];
    await client.workflow.start('any', { ...options, workflowId: started });
    await client.workflow.signalWithStart('any', {
      ...options,
      workflowId: signaled,
      signal: 'hello',
      signalArgs: [],
    });
    const action = { ...options, type: 'startWorkflow' as const, workflowType: 'any' };
    await client.schedule.create({
      scheduleId: scheduled,
      spec: { intervals: [{ every: '1 day' }] },
      action,
    });
    for (const id of [started, signaled]) {
      const { status } = await client.workflow.getHandle(id).describe();
      expect(status.name).toBe('RUNNING');
    }
    expect((await client.schedule.getHandle(scheduled).describe()).action.type).toBe('startWorkflow');
  });
});

test('a namespace without room for the attributes runs spaces, syncs, tasks and schedules, and the health report says so', async () => {
  const { address } = inject('parts').temporal;
  const namespace = await freshNamespace(address);
  const engine = await connectEngine({ address, namespace });
  try {
    // SQL visibility has room for ten keywords.
    const { operatorService } = engine.client.connection as Connection;
    const theirs = Array.from({ length: 8 }, (_, index) => [`Theirs${index}`, 2]);
    await operatorService.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(theirs) });
  } finally {
    await engine.close();
  }
  const test = await startTestPlane({ env: { TEMPORAL_NAMESPACE: namespace } });
  try {
    const { body: health } = await test.call('GET', '/api/runtime/health', { headers: {} });
    expect(health).toMatchObject({ status: 'ok' });
    const part = (health['parts'] as { name: string; detail: string }[]).find(
      ({ name }) => name === 'temporal',
    );
    expect(part?.detail).toContain(`without the search attributes ${SEARCH_ATTRIBUTES.join(', ')}`);
    const { operatorService } = test.plane.deps.engine.client.connection as Connection;
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
    expect(Object.keys(customAttributes).filter((name) => name.startsWith('Membridge'))).toEqual([]);

    const { status, body: space } = await test.call('POST', '/api/membridge/spaces', {
      body: { name: 'everything', projects: ['*'] },
    });
    expect(status).toBe(201);
    const machine = await startTestMachine(test, { folder, id: 'without-attributes' });
    try {
      const cid = String(space['cid'] ?? space['canonical_id']);
      await expect
        .poll(
          async () => {
            const body = { action: 'push', node_id: 'without-attributes' };
            await test.call('POST', `/api/membridge/spaces/${cid}/sync`, { body });
            const { body: jobs } = await test.call('GET', '/api/membridge/jobs?limit=20');
            return (jobs as unknown as { status: string }[]).some((job) => job.status === 'completed');
          },
          { timeout: 60_000, interval: 1_000 },
        )
        .toBe(true);
    } finally {
      await machine.service.stop();
      machine.db.close();
    }
    const project = {
      name: 'p',
      repo_url: 'https://git.example.org/p.git',
      fetch_schedule: { cron: '0 * * * *' },
    };
    const made = await test.call('POST', '/api/runtime/projects', { body: project });
    expect(made.status).toBe(201);
    const path = `/api/runtime/projects/${String(made.body['id'])}`;
    const change = { fetch_schedule: { cron: '5 * * * *' } };
    expect((await test.call('PATCH', path, { body: change })).status).toBe(200);
    const tasks = taskCalls(test);
    expect(await tasks.get(await tasks.make())).toMatchObject({ status: 'queued' });
  } finally {
    await test.stop();
  }
});
