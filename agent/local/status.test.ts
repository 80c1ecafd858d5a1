import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MembersPage, SpaceSummary } from '../../contract/memory/memory.ts';
import { waitUntil } from '../../demo/fleet.ts';
import { startTestMachine, type TestMachine } from '../../test/support/agent-machine.ts';
import { startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';

let folder: string;
let plane: TestPlane;
let a: TestMachine;
let b: TestMachine;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-status-'));
  plane = await startTestPlane();
  await plane.call('POST', '/api/membridge/spaces', { body: { name: 'everything', projects: ['*'] } });
  const env = { MEMBRIDGE_HEARTBEAT_INTERVAL_SECONDS: '1' };
  [a, b] = await Promise.all([
    startTestMachine(plane, { folder, id: 'a', observations: 24, env }),
    startTestMachine(plane, { folder, id: 'b', observations: 24, env }),
  ]);
});
afterAll(async () => {
  for (const machine of [a, b]) {
    await machine.service.stop();
    machine.db.close();
  }
  await plane.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs SQL on the shadow tables, which SQLite otherwise allows only the full-text index itself. */
function meddle({ db }: TestMachine, sql: string): void {
  const own = new Database(db.name);
  own.unsafeMode(true);
  own.exec(sql);
  own.close();
}

async function shownAs(node: string): Promise<{ status: string; detail: string } | undefined> {
  const { body } = await plane.call('GET', '/api/membridge/spaces');
  const [space] = body as unknown as SpaceSummary[];
  const path = `/api/membridge/spaces/${space?.canonical_id}/members?node=${node}`;
  return ((await plane.call('GET', path)).body as unknown as MembersPage).rows[0]?.record;
}

test('exits with 0 only while everything works, and reports the same as the API', async () => {
  await waitUntil('b is well', 60, async () => (await b.cli('status')).code === 0);
  expect((await b.cli('status')).stdout).toMatch(/^state {4}ready$/m);
  expect((await b.cli('status')).stdout).toMatch(/^ {9}in-step/m);
  await waitUntil('the API says so too', 30, async () => (await shownAs('b'))?.status === 'in-step');

  meddle(b, `UPDATE observations_fts_data SET block = x'' WHERE id = 10`);
  a.remember('What b cannot merge');
  await waitUntil('b says that it cannot merge', 60, async () => (await b.cli('status')).code === 1);
  const { stdout } = await b.cli('status');
  expect(stdout).toMatch(/^state {4}index-damaged: .*observations_fts.*VALUES\('rebuild'\)/m);
  expect(stdout).toMatch(/^ {9}failed: observations_fts/m);
  expect(JSON.parse((await b.cli('status', '--json')).stdout)).toMatchObject({
    ok: false,
    state: 'index-damaged',
  });
  expect((await b.cli('doctor')).code).toBe(1);
  await waitUntil('the API says so too', 30, async () => (await shownAs('b'))?.status === 'failed');
  expect((await shownAs('b'))?.detail).toMatch(/observations_fts/);
  const { body: node } = await plane.call('GET', '/api/runtime/workers/b');
  expect(node['memory']).toMatchObject({ state: 'index-damaged' });

  meddle(b, `INSERT INTO observations_fts(observations_fts) VALUES('rebuild')`);
  await b.cli('sync');
  await waitUntil('b is well again', 60, async () => (await b.cli('status')).code === 0);
  expect(b.observations()).toBe(a.observations());
});

test('exits with 1 while the control plane does not answer', async () => {
  await plane.stop();
  await waitUntil('a says so', 30, async () => (await a.cli('status')).code === 1);
  expect((await a.cli('status')).stdout).toMatch(
    /^state {4}not reported: The control plane at .* does not answer/m,
  );
});
