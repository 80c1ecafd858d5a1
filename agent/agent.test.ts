import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonicalId } from '../contract/memory/canonical-id.ts';
import { waitUntil } from '../demo/fleet.ts';
import { MemoryWriter } from '../fixtures/claude-mem/write.ts';
import { RUNTIME_KEY, startTestPlane, type TestPlane } from '../test/support/control-plane.ts';
import { startTestMachine, type TestMachine } from '../test/support/agent-machine.ts';

let folder: string;
let test: TestPlane;
let a: TestMachine;
let b: TestMachine;
let dry: TestMachine;

/** Returns every file below a home, except those in our two folders, as path → inode and digest. */
function snapshot(home: string): Record<string, string> {
  const files = readdirSync(home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.startsWith(join(home, '.membridge')) && !path.startsWith(join(home, '.local')));
  return Object.fromEntries(
    files.map((path) => {
      // Rows change in the database and its log; the file itself must keep its inode.
      const isDatabase = path.includes('claude-mem.db');
      const content = isDatabase ? '' : createHash('sha256').update(readFileSync(path)).digest('hex');
      return [path.slice(home.length), `${statSync(path).ino} ${content}`];
    }),
  );
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-agents-'));
  test = await startTestPlane();
  await test.call('POST', '/api/membridge/spaces', { body: { name: 'everything', projects: ['*'] } });
  [a, b, dry] = await Promise.all([
    startTestMachine(test, { folder, id: 'a' }),
    startTestMachine(test, { folder, id: 'b' }),
    startTestMachine(test, { folder, id: 'dry', env: { MEMBRIDGE_AGENT_DRYRUN: '1' } }),
  ]);
});

afterAll(async () => {
  for (const machine of [a, b, dry]) {
    await machine.service.stop();
    machine.db.close();
  }
  await test.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('agents', () => {
  it('bring their memories together, and a new memory reaches the other node without a request', async () => {
    await waitUntil('both have all', 60, () => a.observations() === 48 && b.observations() === 48);
    a.remember('Noticed by itself');
    await waitUntil('b has it', 30, () => b.observations() === 49);
  });

  it('carry a prompt of 19 MB, the largest seen in production, within the heap of their memory thread', async () => {
    const text = randomBytes(9_500_000).toString('hex');
    const session = a.db.prepare('SELECT content_session_id FROM sdk_sessions LIMIT 1').pluck().get();
    const contentSessionId = session as string;
    new MemoryWriter(a.db).prompt({ contentSessionId, number: 99, text, createdAt: Date.now() });
    const known = b.db.prepare('SELECT count(*) FROM user_prompts WHERE prompt_text = ?').pluck();
    await waitUntil('b has it', 60, () => known.get(text) === 1);
  });

  it('change nothing in the home folder except rows of the database', async () => {
    const before = snapshot(a.home);
    b.remember('From elsewhere');
    await waitUntil('a has it', 30, () => a.observations() === 50);
    expect(snapshot(a.home)).toEqual(before);
    expect(Object.keys(before)).toContain('/.claude/.credentials.json');
  });

  it('keep their key secret', () => {
    const state = join(a.home, '.membridge', 'agent.json');
    expect(statSync(state).mode & 0o777).toBe(0o600);
    expect(a.key()).not.toBe(b.key());
  });

  it('change nothing in a dry run, and say so', async () => {
    expect(dry.observations()).toBe(24);
    const { stdout } = await dry.cli('sync', '--project', 'everything');
    expect(stdout).toMatch(/\[DRYRUN\] Would sync everything/);
    const { body } = await test.call('GET', '/api/membridge/jobs?node=dry');
    const jobs = body as unknown as { status: string; detail: string }[];
    expect(jobs.every(({ status }) => status === 'failed')).toBe(true);
    expect(jobs[0]?.detail).toMatch(/MEMBRIDGE_AGENT_DRYRUN=1: nothing was synced/);
  });
});

describe('the command line', () => {
  it('syncs, pushes and pulls, with figures', async () => {
    expect(await a.cli('sync')).toMatchObject({
      code: 0,
      stdout: 'ok      everything: sent 0 rows, received 0 rows\n',
    });
    expect(await a.cli('push', '--project', 'everything')).toMatchObject({ code: 0 });
    const { stdout } = await a.cli('pull', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      canonical_id: canonicalId('everything'),
      returncode: 0,
    });
  });

  it('shows what the node holds, and checks what it depends on', async () => {
    expect((await a.cli('status')).stdout).toMatch(/claude-mem 13\.24 or later\n.*50 observations/s);
    const doctor = await a.cli('doctor');
    expect(doctor).toMatchObject({ code: 0 });
    expect(doctor.stdout).toMatch(/ok {6}temporal: .* this node polls its queue/);
  });

  it('says what is wrong and what to do', async () => {
    expect(await a.cli('push', '--project', 'nowhere')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no space "nowhere".*Spaces of this node: everything/s),
    });
    expect(await a.cli('fly')).toMatchObject({ code: 2, stderr: expect.stringMatching(/no command "fly"/) });
    expect(await a.cli('push', '--nope')).toMatchObject({ code: 2 });
  });
});

describe("the agent's HTTP", () => {
  const call = async (
    path: string,
    key: string,
    body?: unknown,
  ): Promise<{ status: number; body: unknown }> => {
    const response = await fetch(`${a.url}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'X-MEMBRIDGE-AGENT': key, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };

  it('answers health without a key, and everything else only with the right key', async () => {
    expect(await call('/health', '')).toMatchObject({ status: 200, body: { node_id: 'a', status: 'ok' } });
    for (const key of ['', 'wrong', b.key(), RUNTIME_KEY, 'schl\u00fcssel']) {
      expect(await call('/status', key)).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
    }
    expect(await call('/status', a.key())).toMatchObject({
      status: 200,
      body: { ok: true, db_exists: true },
    });
  });

  it('names the field that is wrong', async () => {
    expect(await call('/sync/push', a.key(), { project: 7 })).toMatchObject({
      status: 422,
      body: { error: expect.stringContaining('project') },
    });
  });

  it('drops an unknown field, and names it', async () => {
    const response = await fetch(`${a.url}/sync/push`, {
      method: 'POST',
      headers: { 'X-MEMBRIDGE-AGENT': a.key(), 'Content-Type': 'application/json' },
      body: JSON.stringify({ project: 'everything', force: true }),
    });
    expect([response.status, response.headers.get('X-Membridge-Ignored')]).toEqual([200, 'body.force']);
  });

  it('accepts projects without a key only from this machine, not through a proxy or a browser', async () => {
    const ask = async (headers: Record<string, string>) =>
      (await fetch(`${a.url}/projects`, { headers })).status;
    expect(await ask({})).toBe(200);
    for (const header of ['X-Forwarded-For', 'Forwarded', 'X-Real-IP', 'Via', 'Origin']) {
      expect(await ask({ [header]: 'http://example.test' })).toBe(401);
    }
  });

  it('runs no prompt and restarts nothing while process control is off, and says how to switch it on', async () => {
    for (const path of ['/execute-task', '/restart', '/self-update', '/uninstall']) {
      const body = { task_id: 't', prompt: 'p', context_id: 'c' };
      expect(await call(path, a.key(), body)).toMatchObject({
        status: 403,
        body: { detail: expect.stringContaining('MEMBRIDGE_ALLOW_PROCESS_CONTROL=1') },
      });
      expect(await call(path, 'wrong', body)).toMatchObject({ status: 401 });
    }
  });

  it('keeps the projects that scripts register', async () => {
    const registered = await call('/register_project', a.key(), {
      project_id: 'garden',
      path: '/srv/garden',
    });
    expect(registered.body).toMatchObject({
      ok: true,
      canonical_id: canonicalId('garden'),
      projects_count: 1,
    });
    expect((await call('/projects', a.key())).body).toMatchObject([
      { project_id: 'garden', path: '/srv/garden' },
    ]);
  });
});
