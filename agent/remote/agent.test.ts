import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MACHINE_ONLY_CALLS, REMOTE_CALLS } from '../../contract/nodes/remote-calls.ts';
import { startTestMachine, type TestMachine } from '../../test/support/agent-machine.ts';
import {
  RUNTIME_KEY,
  startTestPlane,
  type Answer,
  type TestPlane,
} from '../../test/support/control-plane.ts';
import { openCutLine, type CutLine } from '../../test/support/cut-line.ts';
import { ENGINE_CALLS } from '../calls/index.ts';

let test: TestPlane;
let line: CutLine;
let folder: string;
let machine: TestMachine;

beforeAll(async () => {
  test = await startTestPlane();
  line = await openCutLine(new URL(test.plane.url).host);
  folder = mkdtempSync(join(tmpdir(), 'membridge-calls-'));
  await test.call('POST', '/api/membridge/spaces', { body: { name: 'everything', projects: ['*'] } });
  machine = await startTestMachine(test, {
    folder,
    id: 'a',
    env: { MEMBRIDGE_SERVER_URL: `http://${line.address}`, MEMBRIDGE_HEARTBEAT_INTERVAL_SECONDS: '1' },
  });
});
afterAll(async () => {
  await machine.service.stop();
  machine.db.close();
  await test.stop();
  line.stop();
  rmSync(folder, { recursive: true, force: true });
});

const ask = async (name: string, body: object = {}): Promise<Answer> =>
  await test.call('POST', `/api/runtime/workers/a/calls/${name}`, { body });

describe('an agent that people ask from afar', () => {
  it('examines itself, and answers with every check', async () => {
    // Until the first sync has ended, some checks fail.
    await expect.poll(async () => (await machine.cli('sync')).code).toBe(0);
    await expect.poll(async () => (await ask('doctor')).body).toMatchObject({ ok: true, dryrun: false });
    const { body } = await ask('doctor');
    const names = (body['checks'] as { name: string; ok: boolean }[]).map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining(['claude-mem', 'control plane', 'temporal', 'object store']),
    );
  });

  it('reports its state', async () => {
    const { status, body } = await ask('status');
    expect(status).toBe(200);
    expect(body).toMatchObject({ project: 'everything', db_exists: true, memory: { state: 'ready' } });
    expect(body['spaces']).toMatchObject([{ projectId: 'everything' }]);
  });

  it('compares its rows, names the writer of a memory, and reports what its spaces cover', async () => {
    const audited = await ask('audit', { input: { deep: false } });
    expect(audited.body).toEqual({ rows: expect.any(Number) as number, changed: 0, deleted: 0 });
    const blamed = await ask('blame', { input: { kind: 'observation', id: 1 } });
    expect(blamed.body).toMatchObject({ memories: [{ writer: { node: 'a' } }] });
    const covered = await ask('coverage');
    expect(covered.body).toMatchObject({ spaces: [{ project: 'everything', uncovered: null }] });
  });

  it('reports its own problem to the caller', async () => {
    machine.db.exec('ALTER TABLE observations RENAME TO hidden_observations');
    const { status, body } = await ask('coverage');
    machine.db.exec('ALTER TABLE hidden_observations RENAME TO observations');
    expect([status, body['detail']]).toEqual([409, expect.stringMatching(/^Node a: /)]);
  });

  it('connects again after its connection broke', async () => {
    line.cut();
    await expect.poll(() => test.plane.deps.calls.find('a')).toBeNull();
    const away = await ask('status');
    expect(['node_unreachable', 'node_offline']).toContain(away.body['code']);
    line.mend();
    await expect.poll(async () => (await ask('status')).status).toBe(200);
  });

  it('sends the last lines of its log, and lets somebody follow it', async () => {
    const read = async (query: string, signal?: AbortSignal): Promise<Response> =>
      await fetch(`${test.plane.url}/api/runtime/workers/a/calls/log${query}`, {
        headers: { 'X-Runtime-API-Key': RUNTIME_KEY },
        ...(signal === undefined ? {} : { signal }),
      });
    const text = await (await read('')).text();
    expect(text).toMatch(/"level":"info","message":"agent runs","fields":"\{.*database/);
    expect(text).toMatch(/"level":"info","message":"people can ask this node again"/);
    expect(text).toMatch(/event: end\ndata: \{\}\n\n$/);
    const left = new AbortController();
    const followed = await read('?follow=1&lines=0', left.signal);
    expect(followed.status).toBe(200);
    left.abort();
  });

  it('offers exactly the calls of the contract, and leaves the others to the machine', () => {
    const commands = ENGINE_CALLS.filter((call) => call.isInternal !== true).map(({ name }) => name);
    const known = [...Object.keys(REMOTE_CALLS), ...MACHINE_ONLY_CALLS];
    expect(known.toSorted()).toEqual([...new Set([...commands, 'doctor', 'status'])].toSorted());
    for (const call of ENGINE_CALLS) {
      const remote = Object.entries(REMOTE_CALLS).find(([name]) => name === call.name)?.[1];
      if (remote !== undefined) expect(remote.input).toBe(call.input);
    }
  });
});

describe('a call to an agent', () => {
  it('fails when the agent is killed, and the restarted agent answers the next one', async () => {
    const asked = async (): Promise<number> => {
      const { body } = await test.call('GET', '/api/runtime/audit?action=node_asked&limit=1000');
      return (body as unknown as unknown[]).length;
    };
    const before = await asked();
    // A stopped process cannot answer before it is killed.
    process.kill(machine.service.pid, 'SIGSTOP');
    const answer = ask('doctor');
    await expect.poll(asked).toBe(before + 1);
    await machine.service.kill();
    expect((await answer).body).toMatchObject({
      code: 'node_unreachable',
      detail: expect.stringMatching(/Node a did not finish the call/) as string,
    });
    await machine.service.restart();
    await expect.poll(async () => (await ask('status')).status).toBe(200);
  });
});
