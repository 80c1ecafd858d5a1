import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { afterEach, describe, expect, test } from 'vitest';
import { startTimeOf } from './lock.mjs';
import { killRecorded, startChild, stopLeftover, type Child } from './processes.ts';
import { keepAlive } from './keep-alive.ts';
import { startNodeProcess } from './node-process.ts';
import { freePort } from './ports.ts';

const cleanups: Array<() => unknown> = [];
afterEach(async () => {
  for (let next = cleanups.pop(); next; next = cleanups.pop()) await next();
});

function newDataDir(): string {
  const folder = mkdtempSync(join(tmpdir(), 'membridge-processes-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function start(dataDir: string, script: string, graceMs = 5_000): Promise<Child> {
  const args = ['-c', `${script}; echo ready; while :; do sleep 0.05; done`];
  const child = await startChild({
    name: 'shell',
    dataDir,
    file: '/bin/bash',
    args,
    env: process.env,
    graceMs,
  });
  cleanups.push(() => child.kill());
  await expect.poll(() => child.lastLines(), { interval: 10, timeout: 5_000 }).toContain('ready');
  return child;
}

function recordOf(dataDir: string): { pid: number; startTime: string; command: string } {
  return JSON.parse(readFileSync(join(dataDir, 'run', 'shell.json'), 'utf8')) as never;
}

describe('a child', () => {
  test('ends on request, with its record', async () => {
    const dataDir = newDataDir();
    const child = await start(dataDir, 'true');
    expect(recordOf(dataDir).pid).toBe(child.pid);
    await child.stop();
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(startTimeOf(child.pid)).toBeUndefined();
    expect(readdirSync(join(dataDir, 'run'))).toEqual([]);
  });

  test('is killed after its grace period when it ignores the request', async () => {
    const child = await start(newDataDir(), 'trap "" TERM', 200);
    await child.stop();
    expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('takes its own children with it', async () => {
    const child = await start(newDataDir(), 'trap "exit 0" TERM; sleep 1000 & echo "grandchild $!"');
    const grandchild = Number(/grandchild (\d+)/.exec(child.lastLines())?.[1]);
    expect(startTimeOf(grandchild)).toBeDefined();
    await child.stop();
    await expect.poll(() => startTimeOf(grandchild), { interval: 10, timeout: 5_000 }).toBeUndefined();
  });

  test('reports which program cannot be run', async () => {
    const options = { name: 'shell', dataDir: newDataDir(), file: '/no/such/program', args: [], env: {} };
    await expect(startChild(options)).rejects.toThrow('shell: /no/such/program cannot be run');
  });
});

describe('a leftover', () => {
  test('is stopped when it is ours', async () => {
    const dataDir = newDataDir();
    const child = await start(dataDir, 'true');
    expect(await stopLeftover({ name: 'shell', dataDir })).toBe(true);
    expect((await child.exited).signal).toBe('SIGTERM');
  });

  test.each([
    ['start time', { startTime: '1' }],
    ['command', { command: '/usr/bin/other' }],
  ])('stays when only its pid is the same and its %s differs', async (_what, difference) => {
    const dataDir = newDataDir();
    const child = await start(dataDir, 'true');
    writeFileSync(
      join(dataDir, 'run', 'shell.json'),
      JSON.stringify({ ...recordOf(dataDir), ...difference }),
    );
    expect(await stopLeftover({ name: 'shell', dataDir })).toBe(false);
    expect(child.running).toBe(true);
    expect(startTimeOf(child.pid)).toBeDefined();
  });

  test('is killed immediately by the second Ctrl-C', async () => {
    const dataDir = newDataDir();
    const child = await start(dataDir, 'trap "" TERM');
    killRecorded(dataDir);
    expect((await child.exited).signal).toBe('SIGKILL');
  });
});

test('does not count a dead process that was not reaped as running', async () => {
  // The shell becomes sleep, which never reaps the child that it inherited.
  const parent = spawn('/bin/bash', ['-c', '(exit 0) & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanups.push(() => parent.kill('SIGKILL'));
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  await expect
    .poll(() => startTimeOf(Number(line.toString())), { interval: 10, timeout: 5_000 })
    .toBeUndefined();
});

describe('a script of ours', () => {
  const server = `
    import { createServer } from 'node:http';
    const server = createServer((request, response) => {
      response.end('ok');
      if (request.url === '/die') setImmediate(() => process.exit(7));
    });
    server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));`;

  function writeScript(dataDir: string, text: string): string {
    const file = join(dataDir, 'script.mjs');
    writeFileSync(file, text);
    return file;
  }

  test('is ready when its address answers, and starts again when it dies', async () => {
    const dataDir = newDataDir();
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const script = writeScript(dataDir, server);
    const env = { ...process.env, PORT: String(port) };
    const service = await startNodeProcess({ name: 'server', script, env, dataDir, ready: { url } });
    cleanups.push(() => service.kill());
    const lines: string[] = [];
    const again = Promise.withResolvers<void>();
    const alive = keepAlive(service, (line) => {
      lines.push(line);
      if (line === 'server runs again') again.resolve();
    });
    const firstPid = service.pid;
    await fetch(`${url}/die`);
    await again.promise;
    expect(lines[0]).toMatch(/^server ended unexpectedly \(code 7\); starting it again in 0\.5 s/);
    expect(service.pid).not.toBe(firstPid);
    expect((await fetch(url)).status).toBe(200);
    await alive.end();
    await service.stop();
    expect(lines).toHaveLength(2);
  });

  test('is ready when it has written the line', async () => {
    const dataDir = newDataDir();
    const script = writeScript(dataDir, server);
    const env = { ...process.env, PORT: '0' };
    const service = await startNodeProcess({
      name: 'server',
      script,
      env,
      dataDir,
      ready: { line: /^listening$/m },
    });
    await service.stop();
    expect(readFileSync(service.logFile, 'utf8')).toBe('listening\n');
  });

  test('is quoted when it fails', async () => {
    const dataDir = newDataDir();
    const script = writeScript(dataDir, 'console.error("no configuration"); process.exit(3);');
    const starting = startNodeProcess({
      name: 'server',
      script,
      env: process.env,
      dataDir,
      ready: { line: /never/ },
    });
    await expect(starting).rejects.toThrow(/server ended before it was ready \(code 3\)[^]*no configuration/);
  });
});
