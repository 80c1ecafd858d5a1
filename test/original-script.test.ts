import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalId } from '../contract/memory/canonical-id.ts';
import { waitUntil } from '../demo/fleet.ts';
import { startTestMachine, type TestMachine } from './support/agent-machine.ts';
import {
  ADMIN_KEY,
  SHARED_AGENT_KEY,
  startTestPlane,
  type Answer,
  type TestPlane,
} from './support/control-plane.ts';

/**
 * Plays a script as people wrote it for the original's control plane. It uses the original's paths and header names,
 * sends fields that nobody read, and reads the same fields of the answers.
 */
let api: TestPlane;
let machine: TestMachine;
const folder = mkdtempSync(join(tmpdir(), 'membridge-script-'));
const PROJECT = 'garden';
const CID = canonicalId(PROJECT);

beforeAll(async () => {
  api = await startTestPlane();
  machine = await startTestMachine(api, { folder, id: 'laptop' });
  await waitUntil('the agent is online', 20, async () => {
    return list(await curl('GET', '/agents'))[0]?.['status'] === 'online';
  });
});
afterAll(async () => {
  await machine.service.stop();
  machine.db.close();
  await api.stop();
  rmSync(folder, { recursive: true, force: true });
});

const curl = async (method: string, path: string, body?: unknown): Promise<Answer> =>
  await api.call(method, path, { headers: { 'X-MEMBRIDGE-ADMIN': ADMIN_KEY }, body });
const list = ({ body }: Answer): Record<string, unknown>[] => body as unknown as Record<string, unknown>[];
const anyNumber = expect.any(Number) as number;
const anyText = expect.any(String) as string;

test('answers GET /health without a key', async () => {
  const { status, body } = await api.call('GET', '/health', { headers: {} });
  expect(status).toBe(200);
  expect(body).toEqual({
    status: 'ok',
    service: 'membridge-control-plane',
    version: anyText,
    projects: 0,
    agents: 1,
  });
});

test('answers 401 with a detail to everything else without the key, or with a wrong one', async () => {
  for (const path of ['/projects', '/agents', '/jobs', '/jobs/1', `/projects/${CID}/nodes`]) {
    for (const headers of [{}, { 'X-MEMBRIDGE-ADMIN': 'wrong' }]) {
      const answer = await api.call('GET', path, { headers });
      expect(answer).toMatchObject({ status: 401, body: { detail: anyText, error: anyText } });
    }
  }
});

test('returns the given X-Request-ID, or a generated one', async () => {
  const headers = { 'X-MEMBRIDGE-ADMIN': ADMIN_KEY, 'X-Request-ID': 'abc123' };
  expect((await api.call('GET', '/projects', { headers })).headers.get('X-Request-ID')).toBe('abc123');
  expect((await curl('GET', '/projects')).headers.get('X-Request-ID')).toMatch(/^[0-9a-f]{12}$/);
});

describe('agents', () => {
  test('report each of their projects by POST /agent/heartbeat, with the admin key or the shared one', async () => {
    const report = {
      node_id: 'old-laptop',
      canonical_id: CID,
      obs_count: 41,
      db_sha: 'ab'.repeat(32),
      last_seen: 1_771_300_000.25,
      ip_addrs: ['192.0.2.7'],
      project_id: PROJECT,
      agent_version: '0.4.0',
      hostname: 'old-laptop.example',
      uptime_seconds: 12.5,
    };
    const first = await curl('POST', '/agent/heartbeat', report);
    expect(first).toMatchObject({
      status: 200,
      body: {
        ok: true,
        role: expect.stringMatching(/^(primary|secondary|unknown)$/) as string,
        canonical_id: CID,
      },
    });
    const second = await api.call('POST', '/agent/heartbeat', {
      headers: { 'X-MEMBRIDGE-AGENT': SHARED_AGENT_KEY },
      body: { node_id: 'old-desktop', canonical_id: CID, obs_count: null, db_sha: null, ip_addrs: null },
    });
    expect(second).toMatchObject({ status: 200, body: { ok: true, canonical_id: CID } });
    const nodes = list(await curl('GET', `/projects/${CID}/nodes`));
    expect(nodes).toEqual([
      expect.objectContaining({
        node_id: 'old-desktop',
        obs_count: 0,
        db_sha: '',
        ip_addrs: [],
        project_id: '',
      }),
      {
        node_id: 'old-laptop',
        canonical_id: CID,
        role: anyText,
        obs_count: 41,
        db_sha: 'ab'.repeat(32),
        last_seen: anyNumber,
        ip_addrs: ['192.0.2.7'],
        registered_at: anyNumber,
        project_id: PROJECT,
      },
    ]);
  });

  test('are listed, refused a second time, and found before they are removed', async () => {
    expect(list(await curl('GET', '/agents'))).toEqual([
      { name: 'laptop', url: anyText, status: 'online', registered_at: anyNumber, last_seen: anyNumber },
    ]);
    const body = { name: 'laptop', url: 'http://192.0.2.8:8001', status: 'online', capabilities: ['sync'] };
    expect(await curl('POST', '/agents', body)).toMatchObject({ status: 409, body: { detail: anyText } });
    expect(await curl('POST', '/agents', { name: '' })).toMatchObject({
      status: 422,
      body: { detail: anyText },
    });
    expect((await curl('DELETE', '/agents/nobody')).status).toBe(404);
  });
});

describe('projects', () => {
  const project = (source: string, nodes: number) => ({
    name: PROJECT,
    canonical_id: CID,
    created_at: anyNumber,
    last_seen: anyNumber,
    nodes_count: nodes,
    source,
  });

  test('are listed when a heartbeat reported them, and become projects with POST /projects', async () => {
    expect(list(await curl('GET', '/projects'))).toEqual([
      project('heartbeat', expect.any(Number) as number),
    ]);
    const taken = await curl('POST', '/projects', { name: PROJECT, description: 'dropped' });
    expect(taken).toMatchObject({ status: 201, body: project('manual', expect.any(Number) as number) });
    expect(list(await curl('GET', '/projects'))[0]?.['source']).toBe('manual');
  });

  test('are made, refused a second time, refused without a name, and deleted', async () => {
    const made = await curl('POST', '/projects', { name: 'my app' });
    expect(made.status).toBe(201);
    expect(made.body).toEqual({
      name: 'my app',
      canonical_id: canonicalId('my app'),
      created_at: anyNumber,
      last_seen: null,
      nodes_count: 0,
      source: 'manual',
    });
    expect(await curl('POST', '/projects', { name: 'my app' })).toMatchObject({
      status: 409,
      body: { detail: anyText, error: anyText },
    });
    for (const body of [{}, { name: '' }, { name: 'x'.repeat(129) }]) {
      expect((await curl('POST', '/projects', body)).status).toBe(422);
    }
    expect((await curl('DELETE', '/projects/my%20app')).status).toBe(204);
    expect((await curl('DELETE', '/projects/my%20app')).status).toBe(404);
  });

  test('have no nodes when nobody reported them', async () => {
    expect(await curl('GET', '/projects/0123456789abcdef/nodes')).toMatchObject({ status: 200, body: [] });
  });
});

describe('syncs', () => {
  test.each(['push', 'pull'])(
    'wait for the end on POST /sync/%s, and leave a job in the history',
    async (action) => {
      const body = { project: PROJECT, agent: 'laptop', no_restart_worker: true };
      const done = await curl('POST', `/sync/${action}`, body);
      expect(done.status).toBe(200);
      expect(done.body).toEqual({
        ok: true,
        project: PROJECT,
        agent: 'laptop',
        canonical_id: CID,
        detail: anyText,
        job_id: anyText,
      });
      const job = {
        id: done.body['job_id'],
        action,
        project: PROJECT,
        agent: 'laptop',
        canonical_id: CID,
        status: 'completed',
        detail: anyText,
        stdout: anyText,
        stderr: '',
        returncode: 0,
        dryrun: false,
        request_id: null,
        created_at: anyNumber,
        finished_at: anyNumber,
      };
      expect((await curl('GET', `/jobs/${String(done.body['job_id'])}`)).body).toMatchObject(job);
      const jobs = list(await curl('GET', `/jobs?limit=200&project=${PROJECT}&verbose=1`));
      expect(jobs.find(({ id }) => id === job.id)).toMatchObject(job);
    },
  );

  test('answer 404 for an unknown project or node, and 422 without a field', async () => {
    for (const body of [
      { project: 'nothing', agent: 'laptop' },
      { project: PROJECT, agent: 'nobody' },
    ]) {
      expect(await curl('POST', '/sync/push', body)).toMatchObject({
        status: 404,
        body: { detail: anyText },
      });
    }
    expect((await curl('POST', '/sync/push', { project: PROJECT })).status).toBe(422);
  });

  test('have a history with a limit', async () => {
    expect(list(await curl('GET', '/jobs?limit=1'))).toHaveLength(1);
    expect(list(await curl('GET', '/jobs?project=nothing'))).toEqual([]);
    for (const query of ['limit=0', 'limit=201', 'limit=many']) {
      expect((await curl('GET', `/jobs?${query}`)).status).toBe(422);
    }
    expect(await curl('GET', '/jobs/none')).toMatchObject({ status: 404, body: { detail: anyText } });
  });
});

test('removes an agent once with DELETE /agents/{name}', async () => {
  expect((await curl('DELETE', '/agents/laptop')).status).toBe(204);
  expect((await curl('DELETE', '/agents/laptop')).status).toBe(404);
  expect(list(await curl('GET', '/agents'))).toEqual([]);
});

test('redirects GET /ui to the page', async () => {
  const response = await fetch(`${api.plane.url}/ui`, { redirect: 'manual' });
  expect(response.status).toBe(307);
});
