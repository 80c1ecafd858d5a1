import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, cpSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type Postgres } from '../stack/postgres.ts';
import { findPostgresHome } from '../stack/postgres-home.ts';
import { removeStackData } from '../stack/stack.ts';
import { RUNTIME_KEY, startTestPlane, type TestPlane } from '../test/support/control-plane.ts';
import { openCutLine, type CutLine } from '../test/support/cut-line.ts';

const PASSWORD = 'password-of-a-test';
const folders: string[] = [];
let primary: Postgres;
let standby: Postgres;
let line: CutLine;
let test: TestPlane;

const log = (): void => undefined;
const start = (dataDir: string): Promise<Postgres> =>
  startPostgres({ dataDir, port: 0, password: PASSWORD, log });

/**
 * Starts a primary, a standby, and a control plane that reaches PostgreSQL through an address that can move.
 */
beforeAll(async () => {
  const [first, second] = [newFolder(), newFolder()];
  primary = await start(first);
  await primary.stop();
  const home = await findPostgresHome(second, log);
  const data = join(home.folder, 'data');
  cpSync(join((await findPostgresHome(first, log)).folder, 'data'), data, { recursive: true });
  const url = new URL(primary.databaseUrl);
  appendFileSync(
    join(data, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=127.0.0.1 port=${url.port} user=${url.username} password=${PASSWORD}'\n`,
  );
  writeFileSync(join(data, 'standby.signal'), '');
  chmodSync(data, 0o700);
  if (home.user) execFileSync('chown', ['-R', `${home.user.uid}:${home.user.gid}`, data]);
  await primary.restart();
  standby = await start(second);
  line = await openCutLine(url.host);
  const moving = new URL(primary.databaseUrl);
  moving.host = line.address;
  test = await startTestPlane({ databaseUrl: moving.href });
}, 120_000);
afterAll(async () => {
  await test?.stop();
  line?.stop();
  await standby?.stop();
  await primary?.stop();
  for (const folder of folders) removeStackData(folder);
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'membridge-failover-'));
  folders.push(folder);
  return folder;
}

/** Runs one statement on a server and returns its first value. */
async function ask(server: Postgres, statement: string): Promise<unknown> {
  const client = new Client({ connectionString: server.databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<unknown[]>({ text: statement, rowMode: 'array' });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}

const makeSpace = (name: string) => test.call('POST', '/api/membridge/spaces', { body: { name } });

/** Reads the events of a browser's stream until it ends. */
function listen(): { readonly heard: string[]; close(): void } {
  const stop = new AbortController();
  const heard: string[] = [];
  void (async () => {
    const response = await fetch(`${test.plane.url}/api/events`, {
      headers: { 'X-Runtime-API-Key': RUNTIME_KEY },
      signal: stop.signal,
    });
    for await (const chunk of response.body ?? []) heard.push(Buffer.from(chunk).toString('utf8'));
  })().catch(() => undefined);
  return { heard, close: () => stop.abort() };
}

describe('a failover to a standby', () => {
  it('makes every listener reload everything when the standby lacks the last changes', async () => {
    const stream = listen();
    expect((await makeSpace('before')).status).toBe(201);
    await expect.poll(() => stream.heard.join('')).toContain('"before"');
    await expect.poll(() => ask(standby, `select count(*) from spaces where name = 'before'`)).toBe('1');
    // The standby falls behind: later commits are on the primary only.
    await ask(standby, `alter system set primary_conninfo = ''`);
    await ask(standby, 'select pg_reload_conf()');
    await expect.poll(() => ask(primary, 'select count(*) from pg_stat_replication')).toBe('0');
    for (let n = 0; n < 40; n += 1) expect((await makeSpace(`lost-${n}`)).status).toBe(201);
    await expect.poll(() => stream.heard.join('')).toContain('"lost-39"');

    await primary.kill();
    line.cut();
    expect((await makeSpace('away')).body).toMatchObject({ status: 503, code: 'database_unavailable' });
    await ask(standby, 'select pg_promote()');
    line.turnTo(new URL(standby.databaseUrl).host);
    line.mend();

    await expect.poll(async () => (await makeSpace('after')).status, { timeout: 30_000 }).toBe(201);
    await expect.poll(() => stream.heard.join(''), { timeout: 30_000 }).toContain('"reset"');
    expect((await makeSpace('later')).status).toBe(201);
    await expect.poll(() => stream.heard.join(''), { timeout: 30_000 }).toMatch(/"reset"[^]*"later"/);
    const { body } = await test.call('GET', '/api/membridge/spaces');
    const names = JSON.stringify(body);
    expect(['"before"', '"after"', '"lost-'].map((name) => names.includes(name))).toEqual([
      true,
      true,
      false,
    ]);
    stream.close();
  });
});

describe('the control plane during a failover', () => {
  it('answers reads and refuses writes while PostgreSQL is read-only, then accepts writes again', async () => {
    const setReadOnly = async (on: boolean): Promise<void> => {
      await ask(standby, `alter system set default_transaction_read_only = ${on ? 'on' : 'off'}`);
      await ask(standby, 'select pg_reload_conf()');
    };
    await setReadOnly(true);
    try {
      await expect
        .poll(async () => (await makeSpace('refused')).body)
        .toMatchObject({ status: 503, detail: expect.stringContaining('takes no writes') as string });
      expect((await test.call('GET', '/api/membridge/spaces')).status).toBe(200);
    } finally {
      await setReadOnly(false);
    }
    await expect.poll(async () => (await makeSpace('taken')).status).toBe(201);
  });

  it('sends its listeners every event after each of ten kills of PostgreSQL', async () => {
    const stream = listen();
    await expect.poll(() => stream.heard.join('')).toContain('id:');
    for (let time = 1; time <= 10; time += 1) {
      await standby.kill();
      await standby.restart();
      const name = `after-kill-${time}`;
      await expect.poll(async () => (await makeSpace(name)).status, { timeout: 30_000 }).toBe(201);
      await expect.poll(() => stream.heard.join(''), { timeout: 30_000 }).toContain(`"${name}"`);
    }
    expect(stream.heard.join('')).not.toContain('"reset"');
    stream.close();
  }, 180_000);
});
