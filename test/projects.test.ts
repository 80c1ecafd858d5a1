import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client as Postgres } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManagedProject, type ProjectNodeStatus } from '../contract/projects/projects.ts';
import { cloneProjectId } from '../contract/workflows.ts';
import { ControlPlane, startMachine } from '../demo/fleet.ts';
import { connectDatabase } from '../db/connect.ts';
import { connectEngine } from '../engine/connect.ts';
import { buildDatabase } from '../fixtures/claude-mem/build.ts';
import { startApi } from '../stack/membridge.ts';
import { loadServerSecrets } from '../stack/secrets.ts';
import type { Service } from '../stack/service.ts';
import { removeStackData, startStack, type Stack } from '../stack/stack.ts';
import { openObjectStore } from '../storage/object-store.ts';
import {
  TOKEN,
  git,
  startGitServers,
  startGitSshServer,
  type GitServers,
  type GitSshServer,
  type ServedRepository,
} from './git/servers.ts';
import { fileOutput, insertTestProposal } from './git/proposals.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const log = (line: string): void => void process.stderr.write(`${line}\n`);
const SOON = { timeout: 30_000, interval: 100 };
/** Long enough until a killed agent is known to be gone, and its work is repeated. */
const AFTER_A_KILL = { timeout: 90_000, interval: 250 };
/** A pause between the pieces of a pack, long enough to catch a clone in the middle. */
const SLOWLY = { kind: 'slow', everyMs: 40 } as const;

let dataDir: string;
let stack: Stack;
let api: Service & { url: string };
let key: string;
let servers: GitServers;
let ssh: GitSshServer;
const agents = new Map<string, Service>();
let made = 0;

/**
 * Its own stack, because these tests kill its parts. Three real agents, each a process with its own home; real git
 * servers.
 */
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'membridge-projects-'));
  const env = { ...process.env, MEMBRIDGE_PORT: '0' };
  const secrets = loadServerSecrets(dataDir, env);
  key = secrets.RUNTIME_API_KEY;
  servers = await startGitServers();
  ssh = await startGitSshServer();
  stack = await startStack({
    dataDir,
    ports: { postgres: 0, minio: 0, temporal: 0, temporalUi: 0 },
    env,
    log,
  });
  api = await startApi({ root, dataDir, env, secrets, stack });
  const control = new ControlPlane(api.url, key);
  for (const id of ['one', 'two', 'three']) {
    const machine = { id, home: home(id), databasePath: join(home(id), '.claude-mem', 'claude-mem.db') };
    mkdirSync(home(id), { recursive: true });
    buildDatabase(machine.databasePath, '13.25.3').close();
    agents.set(id, await startMachine(machine, { root, dataDir, env: process.env, control }));
  }
}, 240_000);

afterAll(async () => {
  for (const agent of agents.values()) await agent.stop();
  await api?.stop();
  await stack?.stop();
  await ssh?.stop();
  await servers?.stop();
  removeStackData(dataDir);
}, 60_000);

const home = (id: string): string => join(dataDir, 'machines', id);
const cloneOf = (id: string, name: string): string => join(home(id), 'projects', name);
/** Returns the contents of a node's folder of repositories, hidden files too. */
const reposOf = (id: string): string[] =>
  existsSync(join(home(id), 'projects')) ? readdirSync(join(home(id), 'projects')) : [];

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> {
  const response = await fetch(`${api.url}${path}`, {
    method,
    headers: { 'X-Runtime-API-Key': key, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text() };
}
async function project(repo_url: string, body: Record<string, unknown> = {}): Promise<ManagedProject> {
  made += 1;
  const { status, text } = await call('POST', '/api/runtime/projects', {
    name: `p${made}`,
    repo_url,
    ...body,
  });
  expect(status, text).toBe(201);
  return ManagedProject.parse(JSON.parse(text));
}
const post = (id: string, what: string, body: Record<string, unknown> = {}) =>
  call('POST', `/api/runtime/projects/${id}/${what}`, body);
const get = async (id: string): Promise<ManagedProject> =>
  ManagedProject.parse(JSON.parse((await call('GET', `/api/runtime/projects/${id}`)).text));
const of = async (id: string, node: string): Promise<ProjectNodeStatus | undefined> =>
  (await get(id)).nodes.find((each) => each.node_id === node);

/** Returns processes of git that work below a node's home. */
function gitOf(node: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return line.startsWith('git') && line.includes(home(node));
    } catch {
      return false;
    }
  });
}

describe('a private repository', () => {
  it('is cloned with a token that only the node and the seal ever hold', async () => {
    servers.create('secret-http');
    const { id, name } = await project(`${servers.closed.url}/secret-http.git`);
    const refused = await post(id, 'clone', { node_id: 'one' });
    expect(refused.text).toContain('git_auth_failed');
    await call('PUT', `/api/runtime/projects/${id}/credential`, { kind: 'token', token: TOKEN });
    const { status, text } = await post(id, 'clone', { node_id: 'one' });
    expect([status, JSON.parse(text)]).toMatchObject([200, { status: 'cloned', node: 'one' }]);
    expect(git(cloneOf('one', name), 'remote', 'get-url', 'origin')).toBe(
      `${servers.closed.url}/secret-http.git`,
    );

    const engine = await connectEngine({
      address: stack.temporal.address,
      namespace: stack.temporal.namespace,
    });
    const history = await engine.client.workflow.getHandle(cloneProjectId(id, 'one')).fetchHistory();
    await engine.close();
    const database = new Postgres({ connectionString: stack.databaseUrl });
    await database.connect();
    const tables: unknown[] = [];
    for (const table of ['managed_projects', 'project_node_status', 'events', 'jobs']) {
      tables.push((await database.query(`select row_to_json(t)::text from ${table} t`)).rows);
    }
    await database.end();
    const logs = readdirSync(dataDir)
      .filter((file) => file.endsWith('.log'))
      .map((file) => readFileSync(join(dataDir, file), 'utf8'));
    expect(logs.length).toBeGreaterThan(3);
    const config = readFileSync(join(cloneOf('one', name), '.git', 'config'), 'utf8');
    for (const held of [history, tables, logs, config, text, refused.text, await get(id)]) {
      expect(JSON.stringify(held)).not.toContain(TOKEN);
    }
  });

  it('is cloned over ssh with a key and the host key of its project', async () => {
    const { folder } = servers.create('secret-ssh');
    const { id, name } = await project(`${ssh.url}${folder}`);
    const key = { kind: 'ssh-key', private_key: ssh.otherKey };
    await call('PUT', `/api/runtime/projects/${id}/credential`, key);
    expect((await post(id, 'clone', { node_id: 'one' })).text).toContain('git_host_unknown');
    await call('PATCH', `/api/runtime/projects/${id}`, { known_hosts: ssh.knownHosts });
    expect((await post(id, 'clone', { node_id: 'one' })).text).toContain('git_auth_failed');
    await call('PUT', `/api/runtime/projects/${id}/credential`, {
      kind: 'ssh-key',
      private_key: ssh.goodKey,
    });
    expect((await post(id, 'clone', { node_id: 'one' })).status).toBe(200);
    expect(existsSync(join(cloneOf('one', name), 'README.md'))).toBe(true);
  });
});

describe('a fleet', () => {
  it('has a project on every node, follows its remote, and never touches what people changed', async () => {
    const repository = servers.create('fleet');
    const { id, name } = await project(`${servers.open.url}/fleet.git`, { primary_node_id: 'two' });
    const spread = await post(id, 'propagate');
    expect(JSON.parse(spread.text)).toMatchObject({ status: 'synced' });
    expect((await get(id)).clone_status).toBe('synced');

    const commit = repository.push({ 'new.txt': 'new' });
    writeFileSync(join(cloneOf('three', name), 'README.md'), 'changed by a person');
    await post(id, 'fetch');
    expect(await of(id, 'one')).toMatchObject({ clone_status: 'cloned', behind: 1, ahead: 0, dirty: 0 });
    expect(await of(id, 'three')).toMatchObject({ behind: 1, dirty: 1 });

    expect(JSON.parse((await post(id, 'propagate')).text)).toMatchObject({ status: 'synced' });
    expect(await of(id, 'one')).toMatchObject({ commit, behind: 0 });
    expect(await of(id, 'three')).toMatchObject({
      behind: 1,
      dirty: 1,
      detail: expect.stringMatching(/README\.md|changed|differ/) as string,
    });
    expect(readFileSync(join(cloneOf('three', name), 'README.md'), 'utf8')).toBe('changed by a person');
  });

  it('uses the same name with spaces on both sides', async () => {
    servers.create('spaces');
    const { id } = await project(`${servers.open.url}/spaces.git`, { name: 'my own project' });
    expect((await post(id, 'clone', { node_id: 'one' })).status).toBe(200);
    expect(await of(id, 'one')).toMatchObject({ repo_path: cloneOf('one', 'my own project') });
  });

  it('refuses on the node a target outside of the folder of repositories', async () => {
    const { id } = await project(`${servers.open.url}/spaces.git`, { target_path: '/etc/evil' });
    const { status, text } = await post(id, 'clone', { node_id: 'one' });
    expect([status, text]).toEqual([409, expect.stringContaining('clone_refused')]);
    expect(existsSync('/etc/evil')).toBe(false);
  });
});

/** Every part that may die during the work, and how to kill and restart it. */
const KILLS: [string, () => Promise<void>][] = [
  [
    'the agent',
    async () => {
      await agents.get('one')?.kill();
      await agents.get('one')?.restart();
    },
  ],
  [
    'Temporal',
    async () => {
      await stack.parts.temporal?.kill();
      await stack.parts.temporal?.restart();
    },
  ],
  [
    'PostgreSQL',
    async () => {
      await stack.parts.postgres?.kill();
      await stack.parts.postgres?.restart();
    },
  ],
  [
    'the control plane',
    async () => {
      await api.kill();
      await api.restart();
    },
  ],
];

describe('a part that dies during a clone', () => {
  const BYTES = 6_000_000;

  it('does not keep a cancel from ending git and leaving nothing', async () => {
    servers.create('cancelled', { bytes: BYTES });
    const { id } = await project(`${servers.open.url}/cancelled.git`);
    servers.open.trouble = SLOWLY;
    await post(id, 'clone', { node_id: 'one', wait: false });
    await expect
      .poll(() => of(id, 'one'), SOON)
      .toMatchObject({ clone_status: 'cloning', progress: { bytes: expect.any(Number) as number } });
    expect(gitOf('one').length).toBeGreaterThan(0);
    await post(id, 'cancel');
    await expect.poll(() => gitOf('one'), { timeout: 5_000, interval: 50 }).toEqual([]);
    await expect.poll(async () => (await of(id, 'one'))?.clone_status, SOON).toBe('cancelled');
    expect(reposOf('one').filter((entry) => entry.includes('partial'))).toEqual([]);
    servers.open.trouble = { kind: 'none' };
  });

  it('does not keep a deletion of the project from doing the same, and its row stays away', async () => {
    servers.create('deleted', { bytes: BYTES });
    const { id } = await project(`${servers.open.url}/deleted.git`);
    servers.open.trouble = SLOWLY;
    await post(id, 'clone', { node_id: 'one', wait: false });
    await expect.poll(() => gitOf('one').length, SOON).toBeGreaterThan(0);
    expect((await call('DELETE', `/api/runtime/projects/${id}`)).status).toBe(200);
    await expect.poll(() => gitOf('one'), { timeout: 5_000, interval: 50 }).toEqual([]);
    expect((await call('GET', `/api/runtime/projects/${id}`)).status).toBe(404);
    await expect.poll(() => reposOf('one').filter((entry) => entry.includes('partial')), SOON).toEqual([]);
    servers.open.trouble = { kind: 'none' };
  });

  it.each(KILLS)(
    'does not keep the clone from being made, whole and once: %s',
    async (what, killed) => {
      const name = `killed-${what.replaceAll(/[^a-z]/gi, '')}`;
      const repository = servers.create(name, { bytes: BYTES });
      const { id, name: folder } = await project(`${servers.open.url}/${name}.git`);
      servers.open.trouble = SLOWLY;
      await post(id, 'clone', { node_id: 'one', wait: false });
      await expect.poll(() => gitOf('one').length, SOON).toBeGreaterThan(0);
      await killed();
      servers.open.trouble = { kind: 'none' };
      await expect
        .poll(async () => (await of(id, 'one').catch(() => undefined))?.clone_status, AFTER_A_KILL)
        .toBe('cloned');
      expect(git(cloneOf('one', folder), 'rev-parse', 'HEAD')).toBe(
        git(repository.folder, 'rev-parse', 'HEAD'),
      );
      expect(git(cloneOf('one', folder), 'status', '--porcelain')).toBe('');
      expect(reposOf('one').filter((entry) => entry.includes('partial'))).toEqual([]);
    },
    180_000,
  );
});

describe('a proposal', () => {
  /** Makes a private repository that accepts pushes, its project led by `one`, and a task's proposal for it. */
  async function proposed(
    name: string,
  ): Promise<{ id: string; repository: ServedRepository; project: string }> {
    const repository = servers.create(name);
    git(repository.folder, 'config', 'http.receivepack', 'true');
    const { id: projectId, name: folder } = await project(`${servers.closed.url}/${name}.git`, {
      primary_node_id: 'one',
    });
    await call('PUT', `/api/runtime/projects/${projectId}/credential`, { kind: 'token', token: TOKEN });
    const { endpoint, accessKey: access_key, secretKey: secret_key } = stack.minio;
    const access = { endpoint, access_key, secret_key, region: 'us-east-1', bucket: 'claude-memory' };
    const store = openObjectStore(access);
    const db = connectDatabase(stack.databaseUrl, { onIdleError: () => undefined, max: 1 });
    try {
      const expected_version = git(repository.folder, 'rev-parse', 'main');
      const id = await insertTestProposal(
        { db, store },
        projectId,
        fileOutput('notes/a.md', 'a\n', { expected_version }),
      );
      return { id, repository, project: folder };
    } finally {
      store.close();
      await db.close();
    }
  }
  const statusOf = async (id: string): Promise<unknown> =>
    (JSON.parse((await call('GET', `/api/runtime/proposals/${id}`)).text) as { status: unknown }).status;

  it('is committed by the primary, which need not have a clone, with the credential of the project', async () => {
    const { id, repository, project: folder } = await proposed('proposed');
    expect((await call('POST', `/api/runtime/proposals/${id}/approve`, {})).status).toBe(202);
    await expect.poll(() => statusOf(id), SOON).toBe('applied');
    expect(git(repository.folder, 'log', '-1', '--format=%an: %s', 'main')).toBe(
      'writer via Membridge: What a task proposes',
    );
    expect(existsSync(cloneOf('one', folder))).toBe(false);
  });

  it.each(KILLS)(
    'is committed once even if %s is killed during its push',
    async (what, killed) => {
      const name = `proposed-${what.replaceAll(/[^a-z]/gi, '')}`;
      const { id, repository } = await proposed(name);
      const hook = join(repository.folder, 'hooks', 'pre-receive');
      writeFileSync(hook, '#!/bin/sh\ntouch came\nwhile [ ! -e go ]; do sleep 0.1; done\n', { mode: 0o755 });
      expect((await call('POST', `/api/runtime/proposals/${id}/approve`, {})).status).toBe(202);
      await expect.poll(() => existsSync(join(repository.folder, 'came')), SOON).toBe(true);
      await killed();
      writeFileSync(join(repository.folder, 'go'), '');
      await expect.poll(() => statusOf(id).catch(() => 'unknown'), AFTER_A_KILL).toBe('applied');
      expect(git(repository.folder, 'rev-list', '--count', 'main')).toBe('2');
      await expect.poll(() => reposOf('one').filter((entry) => entry.includes('partial')), SOON).toEqual([]);
    },
    180_000,
  );
});

describe('the memory of a project', () => {
  it('is sent and fetched by button, in its space', async () => {
    const control = new ControlPlane(api.url, key);
    const space = await control.createSpace('everything');
    const { id } = await project(`${servers.open.url}/fleet.git`, { space: space.canonical_id });
    const pushed = await post(id, 'sync-memory', { direction: 'push', node_id: 'one' });
    expect([pushed.status, JSON.parse(pushed.text)]).toMatchObject([
      200,
      { status: 'ok', direction: 'push', node: 'one' },
    ]);
    const all = await post(id, 'sync-memory', { direction: 'sync', all: true });
    expect([all.status, JSON.parse(all.text)]).toMatchObject([202, { status: 'syncing' }]);
    const nowhere = await project(`${servers.open.url}/fleet.git`);
    expect((await post(nowhere.id, 'sync-memory', { node_id: 'one' })).text).toMatch(/has no memory space/);
  });

  it('is led: the primary takes a snapshot and publishes the mirror', async () => {
    const control = new ControlPlane(api.url, key);
    const { canonical_id: cid } = await control.createSpace('led');
    const leadership = async () =>
      JSON.parse((await call('GET', `/api/membridge/projects/${cid}/leadership`)).text) as Record<
        string,
        unknown
      >;
    await call('PATCH', `/api/membridge/spaces/${cid}`, { mirror: true });
    await call('POST', `/api/membridge/projects/${cid}/leadership/select`, { primary_node_id: 'one' });
    await expect.poll(leadership, AFTER_A_KILL).toMatchObject({
      primary_node_id: 'one',
      epoch: 1,
      last_snapshot_at: expect.any(Number) as number,
      last_mirror_at: expect.any(Number) as number,
      last_error: null,
    });
    const { endpoint, accessKey: access_key, secretKey: secret_key } = stack.minio;
    const access = { endpoint, access_key, secret_key, region: 'us-east-1', bucket: 'claude-memory' };
    const store = openObjectStore(access);
    const keys = (await store.list(`projects/${cid}/`)).map((object) => object.key);
    store.close();
    expect(keys).toContain(`projects/${cid}/sqlite/claude-mem.db`);
    expect(keys).toContain(`projects/${cid}/leadership/lease.json`);
    expect(keys.some((each) => each.endsWith('/manifest.json') && each.includes('/snap/one/'))).toBe(true);
  });

  it('survives its primary: without one, every node sends and fetches as before', async () => {
    const { canonical_id: cid } = await new ControlPlane(api.url, key).createSpace('leaderless');
    const { id } = await project(`${servers.open.url}/fleet.git`, { space: cid, primary_node_id: 'one' });
    await call('PATCH', `/api/runtime/projects/${id}`, { primary_node_id: null });
    for (const [node, direction] of [
      ['two', 'push'],
      ['three', 'pull'],
    ]) {
      const { status, text } = await post(id, 'sync-memory', { direction, node_id: node });
      expect([status, text]).toEqual([200, expect.stringContaining('"ok"')]);
    }
  });
});
