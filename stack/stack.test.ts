import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import { Client as MinioClient } from 'minio';
import { Client } from 'pg';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startTimeOf } from './lock.mjs';
import { freePort } from './ports.ts';
import { findTool } from './tools.ts';
import { removeStackData, startStack, type Stack, type StackOptions } from './stack.ts';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);
const anyPorts = { postgres: 0, minio: 0, temporal: 0, temporalUi: 0 };
const cleanups: Array<() => Promise<void> | void> = [];

beforeAll(async () => {
  for (const name of ['temporal', 'minio'] as const) await findTool(name, console.error);
}, 1_200_000);

afterEach(async () => {
  for (let next = cleanups.pop(); next; next = cleanups.pop()) await next();
}, 60_000);

function newDataDir(): string {
  const folder = mkdtempSync(join(tmpdir(), 'membridge-stack-'));
  cleanups.push(() => removeStackData(folder));
  return folder;
}

async function up(dataDir: string, options: Partial<StackOptions> = {}): Promise<Stack> {
  const stack = await startStack({ dataDir, ports: anyPorts, env: {}, log: () => {}, ...options });
  cleanups.push(() => stack.stop());
  return stack;
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

function objectStore({ endpoint, accessKey, secretKey }: Stack['minio']): MinioClient {
  const { hostname, port } = new URL(endpoint);
  return new MinioClient({ endPoint: hostname, port: Number(port), useSSL: false, accessKey, secretKey });
}

async function searchAttributes({ address, namespace }: Stack['temporal']): Promise<string[]> {
  const connection = await Connection.connect({ address });
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return Object.keys(customAttributes);
  } finally {
    await connection.close();
  }
}

function pidsOf(stack: Stack): number[] {
  return Object.values(stack.parts).map((part) => part.pid);
}

function runningOf(pids: number[]): number[] {
  return pids.filter((pid) => startTimeOf(pid) !== undefined);
}

/** Starts another process that holds a stack on the data directory, as `npm start` does. */
async function holdElsewhere(dataDir: string): Promise<{ holder: ChildProcess; pids: number[] }> {
  const script = `
    import { startStack } from ${JSON.stringify(join(import.meta.dirname, 'stack.ts'))};
    const ports = ${JSON.stringify(anyPorts)};
    const stack = await startStack({ dataDir: ${JSON.stringify(dataDir)}, ports, env: {}, log: () => {} });
    console.log(JSON.stringify(Object.values(stack.parts).map((part) => part.pid)));`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(holder.stdout), 'line')) as [string];
  return { holder, pids: JSON.parse(line) as number[] };
}

describe('the stack', () => {
  test(
    'starts cold, keeps its data across a stop, and leaves nothing running',
    { timeout: 120_000 },
    async () => {
      const dataDir = newDataDir();
      const cold = await up(dataDir);
      await query(cold.databaseUrl, 'create table kept (word text); insert into kept values ($$here$$)');
      await objectStore(cold.minio).makeBucket('kept');
      expect(await searchAttributes(cold.temporal)).toContain('MembridgeProject');
      expect((await fetch(cold.temporal.uiUrl)).status).toBe(200);
      const pids = pidsOf(cold);
      expect(runningOf(pids)).toHaveLength(3);
      await cold.stop();
      expect(runningOf(pids)).toEqual([]);
      expect(readdirSync(join(dataDir, 'run'))).toEqual([]);

      const began = Date.now();
      const warm = await up(dataDir);
      const warmMs = Date.now() - began;
      expect(await query(warm.databaseUrl, 'select word from kept')).toEqual([{ word: 'here' }]);
      expect(await objectStore(warm.minio).bucketExists('kept')).toBe(true);
      console.log(`warm start of the three parts: ${warmMs} ms`);
      expect(warmMs).toBeLessThan(20_000);
    },
  );

  test('keeps its secrets in a file only its owner can read', { timeout: 120_000 }, async () => {
    const dataDir = newDataDir();
    const stack = await up(dataDir);
    const file = join(dataDir, 'stack.json');
    expect(statSync(file).mode & 0o077).toBe(0);
    expect(stack.databaseUrl).toContain(
      (JSON.parse(readFileSync(file, 'utf8')) as { postgresPassword: string }).postgresPassword,
    );
    const wrong = new URL(stack.databaseUrl);
    wrong.password = 'guess';
    await expect(query(wrong.href, 'select 1')).rejects.toThrow(/password authentication failed/);
  });

  test(
    'refuses the former keys of the store after they were rotated, and keeps its objects',
    { timeout: 120_000 },
    async () => {
      const dataDir = newDataDir();
      const first = await up(dataDir);
      await objectStore(first.minio).makeBucket('kept');
      const rotate = async (...env: [string, string][]): Promise<string> => {
        const { stdout } = await run(join(root, 'bin', 'membridge-server'), ['rotate-store-key'], {
          env: { ...process.env, MEMBRIDGE_DATA_DIR: dataDir, ...Object.fromEntries(env) },
        });
        return stdout;
      };
      await expect(rotate(['MINIO_ENDPOINT', 'http://store.example'])).rejects.toThrow(
        'not a part of this server',
      );
      expect(await objectStore(first.minio).bucketExists('kept')).toBe(true);
      expect(await rotate()).toContain('The next start of the server uses them.');
      await first.stop();
      const second = await up(dataDir);
      expect(second.minio.secretKey).not.toBe(first.minio.secretKey);
      expect(await objectStore(second.minio).bucketExists('kept')).toBe(true);
      const former = { ...first.minio, endpoint: second.minio.endpoint };
      await expect(objectStore(former).bucketExists('kept')).rejects.toThrow();
      await expect(rotate(['MEMBRIDGE_DATA_DIR', join(dataDir, 'none')])).rejects.toThrow('There is no');
    },
  );

  test('restarts each killed part on the same port with the same data', { timeout: 120_000 }, async () => {
    const stack = await up(newDataDir());
    await query(stack.databaseUrl, 'create table kept (word text)');
    await objectStore(stack.minio).makeBucket('kept');
    const before = pidsOf(stack);
    await Promise.all(Object.values(stack.parts).map((part) => part.kill()));
    expect(runningOf(before)).toEqual([]);
    await Promise.all(Object.values(stack.parts).map((part) => part.restart()));
    expect(pidsOf(stack).filter((pid) => before.includes(pid))).toEqual([]);
    expect(await query(stack.databaseUrl, 'select * from kept')).toEqual([]);
    expect(await objectStore(stack.minio).bucketExists('kept')).toBe(true);
    expect(await searchAttributes(stack.temporal)).toContain('MembridgeTask');
  });

  test(
    'stops what an earlier, killed parent left running, and continues with its data',
    { timeout: 120_000 },
    async () => {
      const dataDir = newDataDir();
      const { holder, pids } = await holdElsewhere(dataDir);
      holder.kill('SIGKILL');
      await once(holder, 'exit');
      expect(runningOf(pids)).toHaveLength(3);
      const stack = await up(dataDir);
      expect(runningOf(pids)).toEqual([]);
      expect(await query(stack.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
    },
  );

  test('finds a running PostgreSQL even when its pid record is lost', { timeout: 120_000 }, async () => {
    const dataDir = newDataDir();
    const { holder, pids } = await holdElsewhere(dataDir);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    rmSync(join(dataDir, 'run', 'postgres.json'));
    const stack = await up(dataDir);
    expect(runningOf(pids)).toEqual([]);
    expect(await query(stack.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test.each([
    ['postgres', 'MEMBRIDGE_POSTGRES_PORT'],
    ['minio', 'MEMBRIDGE_MINIO_PORT'],
    ['temporal', 'MEMBRIDGE_TEMPORAL_PORT'],
    ['temporalUi', 'MEMBRIDGE_TEMPORAL_UI_PORT'],
  ])(
    'names the setting when the port of %s is taken, and stops the other parts',
    { timeout: 120_000 },
    async (part, setting) => {
      const port = await freePort();
      const squatter = createServer().listen(port, '127.0.0.1');
      await once(squatter, 'listening');
      cleanups.push(() => void squatter.close());
      const dataDir = newDataDir();
      const starting = up(dataDir, { ports: { ...anyPorts, [part]: port } });
      await expect(starting).rejects.toThrow(new RegExp(`Port ${port} .* taken .*${setting}`));
      expect(readdirSync(join(dataDir, 'run'))).toEqual([]);
    },
  );
});

describe('addresses in the environment', () => {
  test('replace the parts one by one', { timeout: 120_000 }, async () => {
    const own = await up(newDataDir());
    const database = await up(newDataDir(), { env: { DATABASE_URL: own.databaseUrl } });
    expect(Object.keys(database.parts).sort()).toEqual(['minio', 'temporal']);
    expect(database.databaseUrl).toBe(own.databaseUrl);

    const { endpoint, accessKey, secretKey } = own.minio;
    const { hostname, port } = new URL(endpoint);
    const all = await up(newDataDir(), {
      env: {
        DATABASE_URL: own.databaseUrl,
        TEMPORAL_ADDRESS: own.temporal.address,
        MINIO_ENDPOINT: hostname,
        MINIO_PORT: port,
        MINIO_ACCESS_KEY: accessKey,
        MINIO_SECRET_KEY: secretKey,
      },
    });
    expect(all.parts).toEqual({});
    expect(all.minio).toEqual(own.minio);
    expect(all.temporal).toEqual({ address: own.temporal.address, namespace: 'default', uiUrl: '' });
  });

  test('are named, without the password, when nothing answers there', { timeout: 60_000 }, async () => {
    const nobody = `127.0.0.1:${await freePort()}`;
    const keys = { MINIO_ACCESS_KEY: 'a', MINIO_SECRET_KEY: 'b' };
    const database = up(newDataDir(), { env: { DATABASE_URL: `postgres://me:hidden@${nobody}/db` } });
    await expect(database).rejects.toThrow(/DATABASE_URL/);
    await expect(database).rejects.not.toThrow(/hidden/);
    await expect(up(newDataDir(), { env: { TEMPORAL_ADDRESS: nobody } })).rejects.toThrow(/TEMPORAL_ADDRESS/);
    await expect(up(newDataDir(), { env: { MINIO_ENDPOINT: `http://${nobody}`, ...keys } })).rejects.toThrow(
      /MINIO_ENDPOINT/,
    );
    await expect(up(newDataDir(), { env: { MINIO_ENDPOINT: nobody } })).rejects.toThrow(/MINIO_ACCESS_KEY/);
  });
});

test('refuses a Temporal that is neither the development nor the production server', async () => {
  const starting = up(newDataDir(), { env: { MEMBRIDGE_TEMPORAL_ENGINE: 'sqlite' } });
  await expect(starting).rejects.toThrow(
    'MEMBRIDGE_TEMPORAL_ENGINE is "sqlite"; it must be "development" or "server".',
  );
});
