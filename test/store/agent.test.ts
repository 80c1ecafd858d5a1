import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { waitUntil } from '../../demo/fleet.ts';
import { headPrefix, snapshotsPrefix } from '../../memory/format/layout.ts';
import { legacyKeys } from '../../memory/legacy/objects.ts';
import { startTestMachine, type TestMachine } from '../support/agent-machine.ts';
import { startTestPlane, type TestPlane } from '../support/control-plane.ts';
import { SOON, taskCalls } from '../tasks/calls.ts';
import { writeTaskProgram, type TaskProgram } from '../tasks/program.ts';

const CID = canonicalId('everything');

let folder: string;
let test: TestPlane;
let program: TaskProgram;
let a: TestMachine;
let b: TestMachine;

/** This control plane gives agents neither address nor keys of the store. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-agent-store-'));
  program = writeTaskProgram(join(folder, 'program'));
  test = await startTestPlane({ env: { MEMBRIDGE_AGENT_STORE: 'control-plane' } });
  await test.call('POST', '/api/membridge/spaces', { body: { name: 'everything', projects: ['*'] } });
  const env = {
    ...program.settings,
    MEMBRIDGE_HEARTBEAT_INTERVAL_SECONDS: '1',
    MEMBRIDGE_CONFIG_ENV: join(folder, 'none'),
  };
  [a, b] = await Promise.all([
    startTestMachine(test, { folder, id: 'a', observations: 90, env }),
    startTestMachine(test, { folder, id: 'b', env }),
  ]);
});
afterAll(async () => {
  for (const machine of [a, b]) {
    await machine.service.stop();
    machine.db.close();
  }
  await test.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('agents that reach the object store through the control plane', () => {
  it('sync their memories both ways', async () => {
    await waitUntil('both have all', 60, () => a.observations() === 114 && b.observations() === 114);
    b.remember('Seen on b alone');
    await waitUntil('a has what b wrote', 30, () => a.observations() === 115);
    const heads = await test.plane.deps.store.list(headPrefix(CID));
    expect(heads.map(({ key }) => key.slice(headPrefix(CID).length))).toEqual(['a', 'b']);
  });

  it('report in doctor where the store is, and that it answers', async () => {
    const { stdout } = await a.cli('doctor');
    expect(stdout).toContain(`ok      object store: through ${test.plane.url}: 2 heads in 1 spaces`);
    const raced = await a.cli('doctor', 'store');
    expect(raced.code).toBe(1);
    expect(raced.stdout + raced.stderr).toContain('MEMBRIDGE_AGENT_STORE');
  });

  it('fetch a long prompt, and store the program’s answer', async () => {
    const tasks = taskCalls(test);
    const id = await tasks.make({ prompt: `${'x'.repeat(100_000)}\nsay fetched`, auto_dispatch: true });
    await tasks.becomes(id, { status: 'completed' });
    const [artifact] = await tasks.list<{ id: string }>(`artifacts?task_id=${id}&type=LLM_RESULT`);
    const { body } = await test.call('GET', `/api/runtime/artifacts/${artifact?.id}/content`);
    expect(body['text']).toBe('fetched');
  });

  it('take a snapshot and publish the mirror as primary', async () => {
    const { status } = await test.call('PATCH', `/api/membridge/spaces/${CID}`, { body: { mirror: true } });
    expect(status).toBe(200);
    await test.call('POST', `/api/membridge/projects/${CID}/leadership/select`, {
      body: { primary_node_id: 'a' },
    });
    const { store } = test.plane.deps;
    const { database, digest, lock } = legacyKeys(CID);
    await expect.poll(async () => (await store.get(digest))?.toString(), SOON).toMatch(/^[0-9a-f]{64} /);
    expect((await store.get(database))?.subarray(0, 15).toString()).toBe('SQLite format 3');
    await expect.poll(() => store.get(lock), SOON).toBeNull();
    await expect.poll(async () => (await store.list(snapshotsPrefix(CID))).length, SOON).toBeGreaterThan(1);
    const { body } = await test.call('GET', `/api/membridge/projects/${CID}/leadership`);
    expect(body).toMatchObject({ primary_node_id: 'a', last_error: null });
  });

  it('hold no address and no key of the store', () => {
    const { store } = test.plane.deps.config;
    for (const { home, service } of [a, b]) {
      const kept = readFileSync(join(home, '.membridge', 'agent.json'), 'utf8');
      for (const text of [kept, readFileSync(service.logFile, 'utf8')]) {
        expect(text).not.toContain(store.secret_key);
        expect(text).not.toContain(store.endpoint);
      }
    }
  });
});

describe('an agent with MEMBRIDGE_AGENT_STORE=control-plane', () => {
  it('reaches the store through the control plane, although it could have the keys', async () => {
    // Nothing listens at the address of the store that this control plane gives to agents.
    const open = await startTestPlane({ env: { MEMBRIDGE_AGENT_MINIO_ENDPOINT: 'http://127.0.0.1:9' } });
    await open.call('POST', '/api/membridge/spaces', { body: { name: 'everything', projects: ['*'] } });
    const env = { MEMBRIDGE_AGENT_STORE: 'control-plane', MEMBRIDGE_HEARTBEAT_INTERVAL_SECONDS: '1' };
    const c = await startTestMachine(open, { folder, id: 'c', observations: 4, env });
    try {
      const heads = async () => (await open.plane.deps.store.list(headPrefix(CID))).map(({ key }) => key);
      await expect.poll(heads, SOON).toEqual([`${headPrefix(CID)}c`]);
    } finally {
      await c.service.stop();
      c.db.close();
      await open.stop();
    }
  });
});
