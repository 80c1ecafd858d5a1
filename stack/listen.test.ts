import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { enrolOnce } from '../deploy/enrol.ts';
import { readState } from '../agent/control-plane/state.ts';
import { freshDatabase, planeEnvironment } from '../test/support/control-plane.ts';
import { freshNamespace } from '../test/support/namespace.ts';
import { newAuthority, newCertificate, pairFiles } from '../test/support/tls.ts';
import { describeJoining } from './join-command.ts';
import { chooseAddress, parseListen } from './listen.ts';
import { startApi } from './membridge.ts';
import { freePort } from './ports.ts';
import { loadServerSecrets } from './secrets.ts';
import type { Stack } from './stack.ts';

const root = join(import.meta.dirname, '..');
const dataDir = mkdtempSync(join(tmpdir(), 'membridge-listen-'));
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

const choose = (env: NodeJS.ProcessEnv, listen?: string) => chooseAddress({ root, dataDir, env, listen });

describe('--listen', () => {
  test.each([
    ['0.0.0.0:8443', '0.0.0.0', 8443],
    ['[::]:8000', '::', 8000],
    ['server.lan:8000', 'server.lan', 8000],
    ['10.0.0.1', '10.0.0.1', 8000],
  ])('takes %s', (text, host, port) => {
    expect(parseListen(text, 8_000)).toEqual({ host, port });
  });

  test.each([
    ['8000', 'a port alone does not say who may reach the server'],
    [':8000', 'a port alone'],
    ['', 'a port alone'],
    ['::', 'an IPv6 address stands in brackets'],
    ['fd00::1', 'an IPv6 address stands in brackets'],
    ['[server]:8000', 'is not an IPv6 address'],
    ['10.0.0:8000', 'is not an IP address'],
    ['0.0.0.0:70000', 'is not a port'],
    ['0.0.0.0:', 'is not an address and a port'],
    ['http://0.0.0.0:8000', 'this is a URL'],
  ])('refuses %j and says what to type', (text, problem) => {
    expect(() => parseListen(text, 8_000)).toThrow(problem);
    expect(() => parseListen(text, 8_000)).toThrow('0.0.0.0:8000 (all addresses)');
  });

  test('stays plain HTTP on loopback, where nobody else listens', async () => {
    expect(await choose({}, '127.0.0.1:8123')).toMatchObject({
      local: { url: 'http://127.0.0.1:8123' },
      remote: null,
    });
    expect(await choose({})).toMatchObject({
      local: { url: 'http://127.0.0.1:8000', pin: null },
      settings: {},
    });
  });

  test('lets the server be the only address that agents need', async () => {
    const { settings } = await choose({}, '0.0.0.0:8000');
    expect(settings).toMatchObject({
      MEMBRIDGE_AGENT_ENGINE: 'tunnel',
      MEMBRIDGE_AGENT_STORE: 'control-plane',
    });
  });

  test('uses a certificate of the settings, by a name that is in it', async () => {
    const authority = await newAuthority();
    const { env } = pairFiles(
      await newCertificate(authority, { names: ['*.example.org', 'server.example.org'] }),
    );
    const { local, settings, renew } = await choose(env, '0.0.0.0:8000');
    expect(local).toEqual({ url: 'https://server.example.org:8000', pin: authority.pin });
    expect(settings).toMatchObject(env);
    expect(renew).toBeNull();
  });

  test('opens the server with a private authority, and another machine joins by the printed command', async () => {
    const parts = inject('parts');
    const database = await freshDatabase(parts.databaseUrl);
    const env = { ...planeEnvironment(database.url, parts), PATH: process.env['PATH'], HOME: dataDir };
    const secrets = loadServerSecrets(dataDir, env);
    const namespace = await freshNamespace(parts.temporal.address);
    const stack = {
      databaseUrl: database.url,
      temporal: { ...parts.temporal, namespace },
      minio: parts.minio,
      parts: {},
    } as unknown as Stack;
    const address = await choose(env, `0.0.0.0:${await freePort()}`);
    const api = await startApi({ root, dataDir, env, secrets, stack, address });
    try {
      const remote = address.remote ?? { urls: [], pin: null };
      const options = { apiKey: secrets.RUNTIME_API_KEY, caFile: null };
      const lines = await describeJoining(api.server, remote, options);
      const command = lines.find((line) => line.endsWith('./install.sh agent')) ?? '';
      expect(command).toContain(`MEMBRIDGE_SERVER_PIN=${remote.pin}`);
      const settings = Object.fromEntries(
        [...command.matchAll(/(MEMBRIDGE_\w+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value]),
      );
      const folder = join(dataDir, 'another-machine');
      const done = await enrolOnce({
        ...settings,
        HOME: dataDir,
        MEMBRIDGE_AGENT_DATA_DIR: folder,
        MEMBRIDGE_NODE_ID: 'ada',
      });
      expect(done).toMatch(/^changed\t.* \(enrolled as ada at https:/);
      expect(readState(folder)).toMatchObject({
        server_pin: remote.pin,
        enrolment: { engine_way: 'tunnel' },
      });
    } finally {
      await api.stop();
      await database.drop();
    }
  });

  test('prints no token where others may read the output', async () => {
    const { local } = await choose({}, '0.0.0.0:8000');
    const lines = await describeJoining(
      local,
      { urls: ['https://a:1', 'https://b:1'], pin: null },
      { apiKey: null, caFile: null },
    );
    expect(lines.join('\n')).toContain(
      'MEMBRIDGE_SERVER_URL=https://a:1 MEMBRIDGE_ENROL_TOKEN=TOKEN ./install.sh agent',
    );
  });
});
