import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Job } from '../../contract/memory/memory.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { startTestMachine, type TestMachine } from '../../test/support/agent-machine.ts';
import { startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import { openCutLine, type CutLine } from '../../test/support/cut-line.ts';
import { writeTaskProgram, type TaskProgram } from '../../test/tasks/program.ts';

/** How long a lease lives without a renewal, in seconds. */
const LEASE_SECONDS = 10;

let test: TestPlane;
let line: CutLine;
let folder: string;
let program: TaskProgram;
let machine: TestMachine;

beforeAll(async () => {
  // Agents get the address of neither Temporal nor the store: everything goes through the control plane.
  test = await startTestPlane({
    env: { MEMBRIDGE_AGENT_ENGINE: 'tunnel', MEMBRIDGE_AGENT_STORE: 'control-plane' },
  });
  line = await openCutLine(new URL(test.plane.url).host);
  folder = mkdtempSync(join(tmpdir(), 'membridge-tunnel-'));
  program = writeTaskProgram(join(folder, 'program'));
  await test.call('POST', '/api/membridge/spaces', { body: { name: 'everything', projects: ['*'] } });
  machine = await startTestMachine(test, {
    folder,
    id: 'a',
    env: {
      ...program.settings,
      MEMBRIDGE_SERVER_URL: `http://${line.address}`,
    },
  });
});
afterAll(async () => {
  await machine.service.stop();
  machine.db.close();
  await test.stop();
  line.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Makes a task, and gives its id. */
async function make(prompt: string): Promise<string> {
  const { body } = await test.call('POST', '/api/runtime/llm-tasks', {
    body: { prompt, auto_dispatch: true, lease_ttl_seconds: LEASE_SECONDS },
  });
  return String(body['id']);
}
const task = async (id: string) => (await test.call('GET', `/api/runtime/llm-tasks/${id}`)).body;

describe('an agent behind the tunnel', () => {
  it('syncs, and reports how it reaches Temporal', async () => {
    await expect.poll(async () => (await machine.cli('sync')).code).toBe(0);
    // One for its own queue, one each for the tasks of the node and of the default pool, one for its leases.
    await expect.poll(() => test.plane.deps.gateway.tunnels).toBeGreaterThanOrEqual(3);
    const { stdout } = await machine.cli('doctor');
    expect(stdout).toMatch(/ok {6}temporal: .* this node polls its queue through the control plane/);
  });

  it('has what claude-mem writes sent without being asked', async () => {
    writeHistory(machine.db, { name: 'noticed', seed: 7, observations: 5, from: Date.UTC(2026, 0, 5) });
    const pushes = async (): Promise<Job[]> => {
      const { body } = await test.call('GET', '/api/membridge/jobs');
      return (body as unknown as Job[]).filter(
        ({ trigger, rows_sent: sent }) => trigger === 'noticed' && sent > 0,
      );
    };
    await expect.poll(pushes).not.toEqual([]);
  });

  it('renews the lease of a task beyond its life, even across a lost connection', async () => {
    const id = await make('hold long');
    await program.started(id);
    await sleep(2_000);
    line.cut();
    await sleep(500);
    line.mend();
    await sleep(LEASE_SECONDS * 1_000);
    program.go('long');
    await expect.poll(() => task(id)).toMatchObject({ status: 'completed', attempts: 1 });
  });

  it('ends a task that is cancelled', async () => {
    const id = await make('hold never');
    await program.started(id);
    await test.call('POST', `/api/runtime/llm-tasks/${id}/cancel`, { body: {} });
    await expect.poll(() => task(id)).toMatchObject({ status: 'cancelled' });
  });
});
