import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { RUNTIME_KEY, startTestPlane, type TestPlane } from '../test/support/control-plane.ts';
import { newAuthority, newCertificate, pairFiles, startTlsPlane } from '../test/support/tls.ts';
import { enrolOnce } from './enrol.ts';
import { FakeMachine } from './fake-machine.ts';

/** Uses a real control plane. */
let api: TestPlane;
beforeAll(async () => {
  api = await startTestPlane();
});
afterAll(async () => await api.stop());

let machine: FakeMachine;
beforeEach(() => {
  machine = new FakeMachine();
});
afterEach(() => machine.remove());

/** Returns the settings of the page's command, with a token for that node. */
async function settingsFor(nodeId: string): Promise<Record<string, string>> {
  const { body } = await api.call('POST', '/api/runtime/enrolment-tokens', { body: { node_id: nodeId } });
  return {
    MEMBRIDGE_SERVER_URL: api.plane.url,
    MEMBRIDGE_ENROL_TOKEN: String(body['token']),
    MEMBRIDGE_NODE_ID: nodeId,
  };
}

test('asks the server in a dry run, and changes nothing on either machine', async () => {
  const before = machine.snapshot();
  const env = await settingsFor('dry');
  const { code, stdout } = await machine.install(['agent', '--dry-run'], env);
  expect(code).toBe(0);
  expect(stdout).toMatch(/Would change:[^]*\.membridge\/agent\.json/);
  expect(machine.snapshot()).toEqual(before);
  expect((await api.call('GET', '/api/runtime/workers/dry')).status).toBe(404);
});

test('enrols this machine at a server with a private authority, by its pin', async () => {
  const authority = await newAuthority();
  const plane = await startTlsPlane(pairFiles(await newCertificate(authority)), authority.pin);
  try {
    const { body } = await plane.call('POST', '/api/runtime/enrolment-tokens', { body: {} });
    const env = {
      MEMBRIDGE_SERVER_URL: plane.plane.url,
      MEMBRIDGE_ENROL_TOKEN: String(body['token']),
      MEMBRIDGE_NODE_ID: 'pinned',
    };
    const { pin: wrong } = await newAuthority();
    const refused = await machine.install(['agent'], { ...env, MEMBRIDGE_SERVER_PIN: wrong });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain(authority.pin);
    expect(refused.stderr).toContain('Nothing was changed');
    const done = await machine.install(['agent'], { ...env, MEMBRIDGE_SERVER_PIN: authority.pin });
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('enrolled as pinned at https:') });
    const settings = readFileSync(join(machine.home, '.config', 'membridge', 'agent.env'), 'utf8');
    expect(settings).toContain(`MEMBRIDGE_SERVER_PIN=${authority.pin}`);
  } finally {
    await plane.stop();
  }
});

test('enrols this machine with the page’s command, and changes nothing in a second run without a token', async () => {
  const untouched = machine.protectedFiles();
  const env = await settingsFor('installed');
  const first = await machine.install(['agent'], env);
  expect(first).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/agent\.json \(enrolled as installed at/),
  });
  expect(machine.takeCalls()).toEqual([
    'daemon-reload',
    'enable membridge-agent.service',
    'start membridge-agent.service',
  ]);
  expect((await api.call('GET', '/api/runtime/workers/installed')).status).toBe(200);
  const state = join(machine.home, '.membridge', 'agent.json');
  const settings = join(machine.home, '.config', 'membridge', 'agent.env');
  for (const file of [state, settings]) expect(statSync(file).mode & 0o777).toBe(0o600);
  // The token is used up, and kept nowhere.
  const written = readFileSync(settings, 'utf8') + readFileSync(state, 'utf8') + first.stdout + first.stderr;
  expect(written).not.toContain(env['MEMBRIDGE_ENROL_TOKEN']);
  expect(readFileSync(settings, 'utf8')).toContain(
    `\nMEMBRIDGE_SERVER_URL=${api.plane.url}\nMEMBRIDGE_NODE_ID=installed\n`,
  );

  const before = machine.snapshot();
  const second = await machine.install(['agent']);
  expect(second).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Nothing changed/) });
  expect(machine.takeCalls()).toEqual([]);
  expect(machine.snapshot()).toEqual(before);
  expect(machine.protectedFiles()).toEqual(untouched);
});

test('reports an invalid token immediately, and then accepts a valid one', async () => {
  const env = await settingsFor('second-try');
  const refused = await machine.install(['agent'], { ...env, MEMBRIDGE_ENROL_TOKEN: 'nonsense' });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/said 401/);
  expect(machine.takeCalls()).toEqual([]);
  expect((await machine.install(['agent'], env)).code).toBe(0);
});

test('prints a command that really starts the agent without systemd', async () => {
  machine.remove();
  machine = new FakeMachine('offline');
  const env = { ...(await settingsFor('by-hand')), MEMBRIDGE_AGENT_PORT: '0' };
  const { code, stdout } = await machine.install(['agent'], env);
  expect(code).toBe(0);
  const [command = ''] = /\(set -a;.*\)$/m.exec(stdout) ?? [];
  const agent = spawn('sh', ['-c', command.slice(1, -1)], {
    env: machine.environment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let log = '';
  for await (const chunk of agent.stdout) {
    log += String(chunk);
    if (log.includes('"worker polls"')) break;
  }
  expect(log).toContain('node:by-hand');
  const ended = once(agent, 'exit');
  agent.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

test('requests a token with the API key only once in compose', async () => {
  const env = {
    MEMBRIDGE_SERVER_URL: api.plane.url,
    MEMBRIDGE_NODE_ID: 'composed',
    MEMBRIDGE_AGENT_DATA_DIR: join(machine.folder, 'agent'),
    RUNTIME_API_KEY: RUNTIME_KEY,
  };
  await expect(enrolOnce({ ...env, RUNTIME_API_KEY: 'wrong' })).rejects.toThrow(
    /no enrolment token for node composed: 401/,
  );
  expect(await enrolOnce(env)).toMatch(/^changed\t.*enrolled as composed/);
  // A repeated job needs neither the key nor the server.
  expect(await enrolOnce({ MEMBRIDGE_AGENT_DATA_DIR: env.MEMBRIDGE_AGENT_DATA_DIR })).toMatch(
    /^left\t.*composed/,
  );
});
