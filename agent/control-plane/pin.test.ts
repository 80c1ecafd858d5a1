import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestMachine, type TestMachine } from '../../test/support/agent-machine.ts';
import type { TestPlane } from '../../test/support/control-plane.ts';
import {
  newAuthority,
  newCertificate,
  pairFiles,
  startTlsPlane,
  type PairFiles,
  type TestAuthority,
} from '../../test/support/tls.ts';
import { pinOf } from '../../transport/pin.ts';
import { readAgentConfig } from '../config.ts';
import { ensureEnrolled, refreshConnection } from './enrol.ts';
import { readState, writeState } from './state.ts';

const POLL = { timeout: 60_000 };
const log = pino({ level: 'silent' });
let authority: TestAuthority;
let files: PairFiles;
let plane: TestPlane;
let folder: string;
let machine: TestMachine;

beforeAll(async () => {
  authority = await newAuthority();
  files = pairFiles(await newCertificate(authority));
  plane = await startTlsPlane(files, authority.pin, {
    env: { MEMBRIDGE_AGENT_ENGINE: 'tunnel', MEMBRIDGE_AGENT_STORE: 'control-plane' },
  });
  folder = mkdtempSync(join(tmpdir(), 'membridge-pin-'));
  await plane.call('POST', '/api/membridge/spaces', { body: { name: 'everything', projects: ['*'] } });
  machine = await startTestMachine(plane, {
    folder,
    id: 'ada',
    env: { MEMBRIDGE_SERVER_PIN: authority.pin },
  });
});
afterAll(async () => {
  await machine.service.stop();
  machine.db.close();
  await plane.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Returns the pin of the authority that a new connection meets. */
async function authorityNow(): Promise<string> {
  const { hostname, port } = new URL(plane.plane.url);
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { raw } = socket.getPeerCertificate(true).issuerCertificate;
  socket.destroy();
  return pinOf(new X509Certificate(raw));
}

/** Returns the settings of a machine that joins. */
async function joining(id: string, env: Record<string, string>) {
  const { body } = await plane.call('POST', '/api/runtime/enrolment-tokens', { body: { node_id: id } });
  return readAgentConfig({
    HOME: folder,
    MEMBRIDGE_AGENT_DATA_DIR: join(folder, `data-${id}`),
    MEMBRIDGE_SERVER_URL: plane.plane.url,
    MEMBRIDGE_ENROL_TOKEN: String(body['token']),
    MEMBRIDGE_NODE_ID: id,
    ...env,
  });
}

describe('an agent with a pin', () => {
  test('enrols, and reaches Temporal and the object store, all by HTTPS through the control plane', async () => {
    await expect.poll(async () => (await machine.cli('sync')).code, POLL).toBe(0);
    await expect.poll(() => plane.plane.deps.gateway.tunnels, POLL).toBeGreaterThan(0);
    const doctor = async (): Promise<string> => (await machine.cli('doctor')).stdout;
    await expect.poll(doctor, POLL).toMatch(/ok {6}temporal: .* through the control plane/);
    const stdout = await doctor();
    expect(stdout).toMatch(/ok {6}control plane: https:\/\//);
    expect(stdout).toMatch(/ok {6}object store: through https:/);
  });

  test('keeps the pin with its state, and needs the setting no longer', async () => {
    expect(readState(join(machine.home, '.membridge'))).toMatchObject({ server_pin: authority.pin });
  });

  test('accepts a new certificate of its authority, and stops at another authority', async () => {
    files.write(await newCertificate(authority));
    await expect.poll(async () => (await machine.cli('sync')).code, POLL).toBe(0);
    const other = await newAuthority();
    files.write(await newCertificate(other));
    // Open connections stay; those of the next start meet the other authority.
    await expect.poll(authorityNow, POLL).toBe(other.pin);
    await machine.service.restart();
    const control = async (): Promise<string> =>
      /^FAILED {2}control plane: (.*)$/m.exec((await machine.cli('doctor')).stdout)?.[1] ?? '';
    try {
      await expect.poll(control, POLL).toContain(other.pin);
    } finally {
      files.write(await newCertificate(authority));
    }
    await expect.poll(async () => (await machine.cli('sync')).code, POLL).toBe(0);
  });

  test('does not enrol with a wrong pin, and its token stays unused', async () => {
    const { pin } = await newAuthority();
    const wrong = await joining('eve', { MEMBRIDGE_SERVER_PIN: pin });
    await expect(ensureEnrolled(wrong)).rejects.toThrow(authority.pin);
    expect(readState(wrong.dataDir)).toBeNull();
    const state = await ensureEnrolled({ ...wrong, serverPin: authority.pin });
    expect(state.server_pin).toBe(authority.pin);
  });

  test('takes a new pin from its settings', async () => {
    const config = await joining('kay', { MEMBRIDGE_SERVER_PIN: authority.pin });
    const state = await ensureEnrolled(config);
    const { pin: former } = await newAuthority();
    writeState(config.dataDir, { ...state, server_pin: former });
    await refreshConnection(config, { ...state, server_pin: former }, log);
    expect(readState(config.dataDir)?.server_pin).toBe(authority.pin);
  });

  test('does not enrol without the pin', async () => {
    const config = await joining('max', {});
    await expect(ensureEnrolled(config)).rejects.toThrow('set MEMBRIDGE_SERVER_PIN here');
  });
});

describe('an agent of an earlier version over plain HTTP', () => {
  test('does not start on a network, and says what to do', async () => {
    const config = await joining('old', { MEMBRIDGE_SERVER_URL: '' });
    const state = await ensureEnrolled({ ...config, serverUrl: plane.plane.url, serverPin: authority.pin });
    const { server_pin: _pin, ...former } = { ...state, server_url: 'http://10.0.0.1:8000' };
    await expect(refreshConnection(config, former, log)).rejects.toThrow('MEMBRIDGE_ALLOW_PLAIN_HTTP=1');
  });
});
