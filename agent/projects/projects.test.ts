import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import { startTestMachine, type TestMachine } from '../../test/support/agent-machine.ts';
import { git, startGitServers, type GitServers } from '../../test/git/servers.ts';

let folder: string;
let test: TestPlane;
let servers: GitServers;
let machine: TestMachine;
let dry: TestMachine;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-agent-projects-'));
  [test, servers] = await Promise.all([startTestPlane(), startGitServers()]);
  [machine, dry] = await Promise.all([
    startTestMachine(test, { folder, id: 'a', env: { MEMBRIDGE_REPOS_BASE: '~/code' } }),
    startTestMachine(test, { folder, id: 'dry', env: { MEMBRIDGE_AGENT_DRYRUN: '1' } }),
  ]);
});
afterAll(async () => {
  for (const each of [machine, dry]) {
    await each.service.stop();
    each.db.close();
  }
  await Promise.all([test.stop(), servers.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

async function call(
  to: TestMachine,
  path: string,
  body?: object,
  key = to.key(),
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${to.url}${path}`, {
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    headers: { 'Content-Type': 'application/json', 'X-MEMBRIDGE-AGENT': key },
  });
  return { status: response.status, body: await response.json() };
}

it('serves the paths /clone, which clones, then pulls, and /repos, which lists', async () => {
  const repository = servers.create('garden');
  const body = { repo_url: `${servers.open.url}/garden.git`, project_name: 'garden', target_path: null };
  const path = join(machine.home, 'code', 'garden');
  expect(await call(machine, '/clone', body)).toMatchObject({
    status: 200,
    body: { ok: true, action: 'clone', path, project_name: 'garden', stderr: '' },
  });
  const commit = repository.push({ new: '1' });
  expect(await call(machine, '/clone', body)).toMatchObject({
    status: 200,
    body: { ok: true, action: 'pull' },
  });
  expect(git(path, 'rev-parse', 'HEAD')).toBe(commit);
  expect(await call(machine, '/repos')).toEqual({
    status: 200,
    body: [{ name: 'garden', path, last_commit: commit }],
  });
});

it('answers a failure with its status, and says what to do', async () => {
  const body = { repo_url: `${servers.open.url}/nothing.git`, project_name: 'nothing' };
  const cases: [object, number, string][] = [
    [body, 502, 'git_not_found'],
    [{ ...body, project_name: '..' }, 400, 'bad_request'],
    [{ ...body, repo_url: 'http://host/a\n' }, 400, 'bad_request'],
    [{ ...body, target_path: '/etc/x' }, 409, 'clone_refused'],
    [{ ...body, project_name: 'garden' }, 409, 'clone_refused'],
  ];
  for (const [each, status, code] of cases) {
    expect(await call(machine, '/clone', each)).toMatchObject({
      status,
      body: { code, error: expect.any(String) },
    });
  }
  expect(readdirSync(join(machine.home, 'code'))).toEqual(['garden']);
});

it('requires the agent’s key, and only reports in a dry run what it would do', async () => {
  const body = { repo_url: `${servers.open.url}/garden.git`, project_name: 'garden' };
  expect(await call(machine, '/clone', body, 'wrong')).toMatchObject({ status: 401 });
  expect(await call(machine, '/repos', undefined, 'wrong')).toMatchObject({ status: 401 });
  expect(await call(dry, '/clone', body)).toMatchObject({ status: 200, body: { ok: true, dryrun: true } });
  expect(await call(dry, '/repos')).toEqual({ status: 200, body: [] });
  expect(readdirSync(dry.home)).not.toContain('projects');
  const health = (await (await fetch(`${machine.url}/health`)).json()) as {
    capabilities: { clone: boolean };
  };
  expect(health.capabilities.clone).toBe(true);
});
