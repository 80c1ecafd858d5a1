import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findOnPath } from '../stack/machine.mjs';
import { FakeMachine } from './fake-machine.ts';

/** systemd does not run where these tests do: a stand-in for systemctl records its calls. */
let machine: FakeMachine;
beforeEach(() => {
  machine = new FakeMachine();
});
afterEach(() => machine.remove());

const isRoot = process.getuid?.() === 0;
const config = (file: string): string => join(machine.home, '.config', 'membridge', file);
const unitFile = (name: string): string => join(machine.home, '.config', 'systemd', 'user', name);
const modeOf = (file: string): number => statSync(file).mode & 0o777;

describe('wrong use', () => {
  test.each([
    [['frobnicate'], /"frobnicate" is not understood/],
    [[], /say what to install/],
    [['agent', 'server'], /both asked for/],
  ])('%j gets the usage and exit code 2', async (args, message) => {
    const { code, stdout, stderr } = await machine.install(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
    expect(stderr).toContain('./install.sh server');
  });

  test('lists in --help what is not there yet', async () => {
    const { code, stdout } = await machine.install(['--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Not there yet: OpenRC/);
  });

  test('says where an agent gets its server and token, and changes nothing', async () => {
    const before = machine.snapshot();
    const { code, stderr } = await machine.install(['agent']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/MEMBRIDGE_SERVER_URL MEMBRIDGE_ENROL_TOKEN is not set.*"Add a node"/);
    expect(machine.snapshot()).toEqual(before);
  });

  test('refuses an address without a Membridge before anything changes', async () => {
    const other = createServer((_request, response) => response.end('{"service":"another"}')).listen(
      0,
      '127.0.0.1',
    );
    await once(other, 'listening');
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    const before = machine.snapshot();
    const env = { MEMBRIDGE_SERVER_URL: url, MEMBRIDGE_ENROL_TOKEN: 'a' };
    expect(await machine.install(['agent'], env)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/answers 200, but not as membridge-control-plane\n.*Nothing was changed/),
    });
    other.close();
    other.closeAllConnections();
    await once(other, 'close');
    expect(await machine.install(['agent'], env)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/does not answer: .*ECONNREFUSED/),
    });
    expect(machine.snapshot()).toEqual(before);
  });

  test.skipIf(!isRoot)('refuses an agent under sudo, which would serve the wrong user', async () => {
    const { code, stderr } = await machine.install(['agent', '--system'], { SUDO_USER: 'ann' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Run it without sudo, as ann/);
  });
});

describe('a server', () => {
  test('changes nothing in a dry run, and says what it would change', async () => {
    const before = machine.snapshot();
    const checkout = machine.checkout();
    const { code, stdout } = await machine.install(['server', '--dry-run']);
    expect(code).toBe(0);
    for (const file of [
      config('server.env'),
      join(machine.data, 'server.env'),
      unitFile('membridge.service'),
    ])
      expect(stdout.split('Left as it was')[0]).toContain(file);
    expect(machine.takeCalls()).toEqual([]);
    expect(machine.snapshot()).toEqual(before);
    expect(machine.checkout()).toEqual(checkout);
  });

  test('is installed, enabled and started, and a second run changes nothing and says so', async () => {
    const untouched = machine.protectedFiles();
    const first = await machine.install(['server'], { MEMBRIDGE_PORT: '8123', MEMBRIDGE_AGENT_PORT: '1' });
    expect(first).toMatchObject({ code: 0, stdout: expect.stringContaining('Changed:') });
    expect(machine.takeCalls()).toEqual([
      'daemon-reload',
      'enable membridge.service',
      'start membridge.service',
    ]);
    for (const file of [
      config('server.env'),
      join(machine.data, 'server.env'),
      join(machine.data, 'stack.json'),
    ]) {
      expect(first.stdout).toContain(file);
      expect(modeOf(file)).toBe(0o600);
    }
    // The file holds only the server's settings, not an agent's.
    expect(readFileSync(config('server.env'), 'utf8')).toMatch(
      /^#.*\nMEMBRIDGE_PORT=8123\nMEMBRIDGE_DATA_DIR=.*\/data\nXDG_CACHE_HOME=.*\n$/,
    );
    const unit = readFileSync(unitFile('membridge.service'), 'utf8');
    expect(unit).not.toContain('@');
    expect(unit).toMatch(
      /^ExecStart="\/.*\/node" ".*\/stack\/bootstrap\.mjs" ".*\/stack\/start\.ts" --no-agent$/m,
    );
    expect(unit).toContain(`EnvironmentFile=${config('server.env')}\n`);
    // The output names the file with the key, and not the key itself.
    const [, key = 'absent'] =
      /^RUNTIME_API_KEY=(\w+)$/m.exec(readFileSync(join(machine.data, 'server.env'), 'utf8')) ?? [];
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(first.stdout + first.stderr).not.toContain(key);

    const before = machine.snapshot();
    const second = await machine.install(['server'], { MEMBRIDGE_PORT: '8123' });
    expect(second).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Nothing changed/) });
    expect(machine.takeCalls()).toEqual([]);
    expect(machine.snapshot()).toEqual(before);
    expect(machine.protectedFiles()).toEqual(untouched);
  });

  test('keeps and completes its files, and closes them to other users', async () => {
    machine.write(join(machine.data, 'server.env'), 'RUNTIME_API_KEY=mine\n', 0o600);
    machine.write(config('server.env'), '# by hand\nMEMBRIDGE_PORT="9999"\n');
    const { code, stdout } = await machine.install(['server', '--no-start'], {
      MEMBRIDGE_PORT: '1234',
      DATABASE_URL: 'postgresql://u:p@db.example:5432/m?sslmode=require&x=1',
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/MEMBRIDGE_PORT in .*server\.env stays as it is/);
    expect(stdout).toContain('http://127.0.0.1:9999');
    expect(readFileSync(config('server.env'), 'utf8')).toMatch(
      /^# by hand\nMEMBRIDGE_PORT="9999"\nDATABASE_URL='postgresql:\/\/u:p@db\.example:5432\/m\?sslmode=require&x=1'\nMEMBRIDGE_DATA_DIR=/,
    );
    expect(modeOf(config('server.env'))).toBe(0o600);
    const keys = readFileSync(join(machine.data, 'server.env'), 'utf8');
    expect(keys).toMatch(/^RUNTIME_API_KEY=mine\nMEMBRIDGE_ADMIN_KEY=\w+\nMEMBRIDGE_SIGNING_KEY=/);
    expect(machine.takeCalls()).toEqual(['daemon-reload', 'enable membridge.service']);
  });

  test('is restarted when it gains an agent, and then the machine takes no second one', async () => {
    await machine.install(['server']);
    machine.takeCalls();
    expect((await machine.install(['all'])).code).toBe(0);
    expect(machine.takeCalls()).toEqual(['daemon-reload', 'restart membridge.service']);
    expect(readFileSync(unitFile('membridge.service'), 'utf8')).not.toContain('--no-agent');
    const { code, stderr } = await machine.install(['agent']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/runs already, as a part of membridge\.service/);
  });

  test('is installed without systemd, too, and the start command is printed', async () => {
    machine.remove();
    machine = new FakeMachine('offline');
    const { code, stdout } = await machine.install(['server']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/systemd does not run here/);
    expect(stdout).toContain(`exec node stack/bootstrap.mjs stack/start.ts --no-agent)`);
    expect(existsSync(config('server.env'))).toBe(true);
    expect(existsSync(unitFile('membridge.service'))).toBe(false);
    expect(machine.takeCalls()).toEqual([]);
    expect((await machine.install(['server'])).stdout).toMatch(/^Nothing changed/);
  });
});

describe.skipIf(!isRoot)('a system service', () => {
  test('is written to /etc, below DESTDIR, with a unit that names its final place', async () => {
    const DESTDIR = join(machine.folder, 'image');
    expect((await machine.install(['all', '--system'], { DESTDIR })).code).toBe(0);
    expect(modeOf(join(DESTDIR, 'etc/membridge/server.env'))).toBe(0o600);
    const unit = readFileSync(join(DESTDIR, 'etc/systemd/system/membridge.service'), 'utf8');
    expect(unit).toContain('\nUser=root\n');
    expect(unit).toContain('\nEnvironmentFile=/etc/membridge/server.env\n');
    expect(unit).toContain('\nWantedBy=multi-user.target\n');
    expect(machine.takeCalls()).toEqual([]);
  });
});

test.skipIf(findOnPath('systemd-analyze').length === 0)('writes a unit that systemd accepts', async () => {
  await machine.install(['all']);
  const unit = unitFile('membridge.service');
  const { code, stdout, stderr } = await machine.run('systemd-analyze', ['verify', '--man=no', unit]);
  expect({ code, said: stdout + stderr }).toEqual({ code: 0, said: '' });
});
