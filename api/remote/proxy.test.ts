import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { readSettings } from '../../db/queries/read-settings.ts';
import {
  ADMIN_KEY,
  RUNTIME_KEY,
  enrolNode,
  startTestPlane,
  type TestPlane,
} from '../../test/support/control-plane.ts';

const OTHER_KEY = 'key-of-the-runtime-alone';
const admin = { 'X-MEMBRIDGE-ADMIN': ADMIN_KEY };

let control: TestPlane;
let runtime: TestPlane;
beforeAll(async () => {
  control = await startTestPlane({ env: { MEMBRIDGE_ROLES: 'control' } });
  await enrolNode(control, 'node-a');
  runtime = await startTestPlane({
    env: {
      MEMBRIDGE_ROLES: 'runtime',
      MEMBRIDGE_SERVER_URL: control.plane.url,
      MEMBRIDGE_ADMIN_KEY: ADMIN_KEY,
      RUNTIME_API_KEY: OTHER_KEY,
    },
  });
});
afterAll(async () => {
  await runtime.stop();
  await control.stop();
});

const people = { 'X-Runtime-API-Key': OTHER_KEY };
const ask = async (method: string, path: string, body?: unknown) =>
  await runtime.call(method, path, { headers: people, body });

describe('a runtime-only process', () => {
  test('passes spaces, jobs and projects on, and answers as the control plane does', async () => {
    const made = await ask('POST', '/api/membridge/spaces', { name: 'far', projects: ['*'] });
    const cid = canonicalId('far');
    expect(made).toMatchObject({ status: 201, body: { name: 'far', canonical_id: cid } });
    const patched = await ask('PATCH', `/api/membridge/spaces/${cid}`, { excluded: ['diary'] });
    expect(patched).toMatchObject({ status: 200, body: { excluded: ['diary'] } });
    expect(await ask('GET', '/api/membridge/projects')).toMatchObject({
      status: 200,
      body: [{ name: 'far', canonical_id: cid, source: 'manual' }],
    });
    const synced = await ask('POST', `/api/membridge/spaces/${cid}/sync`, { node_id: 'node-a' });
    expect(synced.status).toBe(202);
    const [job] = synced.body['jobs'] as { job_id: string }[];
    expect(await ask('GET', `/api/membridge/jobs/${job?.job_id}`)).toMatchObject({
      status: 200,
      body: { id: job?.job_id, project: 'far', agent: 'node-a' },
    });
    expect((await ask('GET', '/api/membridge/jobs?limit=1&project=far')).body).toHaveLength(1);
    expect((await control.call('GET', '/projects', { headers: admin })).body).toHaveLength(1);
    expect(await ask('GET', '/api/membridge/health')).toMatchObject({
      status: 200,
      body: { service: 'membridge-control-plane', projects: 1, agents: 1 },
    });
    expect((await ask('DELETE', `/api/membridge/spaces/${cid}`)).status).toBe(204);
  });

  test('returns the errors of the control plane unchanged', async () => {
    const missing = await ask('GET', '/api/membridge/spaces/0123456789abcdef');
    expect(missing).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(missing.headers.get('Content-Type')).toMatch(/problem\+json/);
    expect(missing.body['error']).toContain('0123456789abcdef');
  });

  test('authenticates callers itself, and validates their input itself', async () => {
    for (const headers of [{}, { 'X-Runtime-API-Key': RUNTIME_KEY }]) {
      expect((await runtime.call('GET', '/api/membridge/spaces', { headers })).status).toBe(401);
    }
    expect((await ask('POST', '/api/membridge/spaces', { colour: 'red' })).status).toBe(400);
    expect((await ask('GET', '/api/membridge/spaces/..%2f..%2fagents')).status).toBe(400);
    expect((await ask('GET', '/api/membridge/jobs/..%2f..%2fagents')).body['error']).toContain(
      'part of a path',
    );
    expect((await ask('GET', '/api/membridge/jobs/%2e%2e')).status).not.toBe(200);
  });

  test('does not serve what belongs to the control plane, and says so', async () => {
    for (const [method, path] of [
      ['GET', '/projects'],
      ['POST', '/agents'],
      ['POST', '/sync/push'],
      ['GET', '/jobs'],
      ['POST', '/agent/heartbeat'],
      ['POST', '/api/agent/enrol'],
      ['POST', '/api/runtime/enrolment-tokens'],
      ['POST', '/api/runtime/workers/laptop/calls/doctor'],
      ['GET', '/api/runtime/workers/laptop/calls/log'],
    ] as const) {
      const answer = await runtime.call(method, path, {
        headers: admin,
        ...(method === 'POST' ? { body: {} } : {}),
      });
      expect(answer.status).toBe(404);
      expect(answer.body['error']).toMatch(/only a runtime \(MEMBRIDGE_ROLES/);
    }
    expect((await ask('GET', '/api/runtime/workers')).status).toBe(200);
    expect((await runtime.call('GET', '/health', { headers: {} })).body['service']).toBe('bloom-runtime');
  });

  test('shows the connection in its health', async () => {
    await ask('GET', '/api/membridge/health');
    const { body } = await runtime.call('GET', '/api/runtime/health', { headers: {} });
    expect(body['membridge']).toMatchObject({
      consecutiveFailures: 0,
      lastError: null,
      connected: true,
      circuit: 'closed',
      remote: true,
    });
  });

  test('refuses to forward in a circle', async () => {
    const headers = { ...people, Via: '1.1 membridge-runtime' };
    const answer = await runtime.call('GET', '/api/membridge/spaces', { headers });
    expect(answer).toMatchObject({ status: 502, body: { code: 'control_plane_refused' } });
  });
});

describe('a control-plane-only process', () => {
  test('serves nothing of the runtime but its health, and no page', async () => {
    for (const path of ['/api/runtime/workers', '/api/runtime/stats', '/api/runtime/config']) {
      const answer = await control.call('GET', path);
      expect(answer.status).toBe(404);
      expect(answer.body['error']).toMatch(/only a control plane/);
    }
    expect((await control.call('GET', '/runtime', { headers: { Accept: 'text/html' } })).status).toBe(404);
    const { status, body } = await control.call('GET', '/api/runtime/health', { headers: {} });
    expect(status).toBe(200);
    expect(body['membridge']).toMatchObject({ connected: true, remote: false });
  });
});

describe('the settings of the connection', () => {
  const config = async () => (await ask('GET', '/api/runtime/config')).body;

  test('come from the environment until people set others', async () => {
    expect(await config()).toMatchObject({
      membridge_server_url: control.plane.url,
      admin_key_masked: 'admi****ests',
      last_test: null,
      in_use: true,
    });
  });

  test('keeps the key with a new address, and the address with a new key; seals the key and never shows it', async () => {
    const key = 'another-admin-key';
    const url = `${control.plane.url}/`;
    const first = await ask('POST', '/api/runtime/config', { membridge_server_url: url, admin_key: key });
    expect(first).toMatchObject({
      status: 200,
      body: { membridge_server_url: control.plane.url, admin_key_masked: 'anot****-key' },
    });
    expect(await ask('POST', '/api/runtime/test-connection')).toMatchObject({
      status: 200,
      body: { connected: false, error: expect.stringMatching(/does not take the admin key/) as string },
    });
    expect(await config()).toMatchObject({
      connected: false,
      last_test: expect.any(Number) as number,
      last_test_error: expect.stringMatching(/does not take/) as string,
    });
    const second = await ask('POST', '/api/runtime/config', { admin_key: ADMIN_KEY });
    expect(second.body).toMatchObject({ membridge_server_url: control.plane.url, last_test: null });
    const third = await ask('POST', '/api/runtime/config', { membridge_server_url: url, admin_key: '' });
    expect(third.body).toMatchObject({ admin_key_masked: 'admi****ests' });
    expect(await ask('POST', '/api/runtime/test-connection')).toMatchObject({
      status: 200,
      body: { connected: true, health: { service: 'membridge-control-plane' } },
    });
    expect(await config()).toMatchObject({ connected: true, last_test_error: null });
    const kept = await readSettings(runtime.plane.deps.db, { keys: ['admin_key'] });
    expect(kept.admin_key).toMatch(/^membridge-sealed\/1:/);
    expect(JSON.stringify(kept)).not.toContain(ADMIN_KEY);
  });

  test('drop the key for an address with another origin', async () => {
    const seen: (string | undefined)[] = [];
    const elsewhere = createServer((request, response) => {
      seen.push(request.headers['x-membridge-admin'] as string | undefined);
      response.end('{}');
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
    try {
      const saved = await ask('POST', '/api/runtime/config', { membridge_server_url: url });
      expect(saved.body).toMatchObject({ membridge_server_url: url, admin_key_masked: '' });
      await ask('POST', '/api/runtime/test-connection');
      expect(seen.length).toBeGreaterThan(0);
      expect(seen.every((key) => key === undefined)).toBe(true);
    } finally {
      await new Promise((resolve) => elsewhere.close(resolve));
      await ask('POST', '/api/runtime/config', {
        membridge_server_url: control.plane.url,
        admin_key: ADMIN_KEY,
      });
    }
  });

  test.each([
    [{ membridge_server_url: 'file:///etc/passwd' }, 'membridge_server_url'],
    [{ membridge_server_url: 'http://user:pass@host' }, 'membridge_server_url'],
    [{ membridge_server_url: '' }, 'membridge_server_url'],
    [{ admin_key: 'line\nbreak' }, 'admin_key'],
    [{ admin_key: '' }, 'body'],
    [{}, 'body'],
  ])('refuse %j, and change nothing', async (body, field) => {
    const before = await config();
    const answer = await ask('POST', '/api/runtime/config', body);
    expect(answer.status).toBe(400);
    expect((answer.body['fields'] as { field: string }[])[0]?.field).toBe(field);
    expect((await config())['membridge_server_url']).toBe(before['membridge_server_url']);
  });

  test('reveal nothing of another server’s answer in a test', async () => {
    const { url, close } = await serve('{"status":"ok","secret":"s3cr3t"}');
    await ask('POST', '/api/runtime/config', { membridge_server_url: url });
    const answer = await ask('POST', '/api/runtime/test-connection');
    expect(answer.body['connected']).toBe(false);
    expect(answer.body['error']).toMatch(/not a control plane/);
    expect(JSON.stringify(answer.body)).not.toContain('s3cr3t');
    await close();
    expect((await ask('POST', '/api/runtime/test-connection')).body['error']).toMatch(/ECONNREFUSED/);
    expect(await ask('GET', '/api/membridge/spaces')).toMatchObject({
      status: 502,
      body: { code: 'control_plane_unreachable' },
    });
  });

  test('call an original control plane on its own paths, and report its errors in words', async () => {
    const asked: string[] = [];
    const { url, close } = await serve('{"detail":"Project not found"}', 404, (req) => {
      asked.push(`${req.method} ${req.url}`);
    });
    await ask('POST', '/api/runtime/config', { membridge_server_url: url });
    const answer = await ask('GET', '/api/membridge/projects');
    expect(answer.status).toBe(404);
    expect(answer.body['error']).toBe('The control plane says: Project not found');
    await ask('GET', '/api/membridge/projects/0123456789abcdef/nodes');
    await ask('GET', '/api/membridge/spaces');
    expect(asked.filter((line) => !line.endsWith('/health'))).toEqual([
      'GET /api/membridge/projects',
      'GET /projects',
      'GET /api/membridge/projects/0123456789abcdef/nodes',
      'GET /projects/0123456789abcdef/nodes',
      'GET /api/membridge/spaces',
    ]);
    await close();
  });

  test('end the call to the control plane when the caller disconnects', async () => {
    const arrived = Promise.withResolvers<IncomingMessage>();
    const { url, close } = await serve(null, 200, (req) => arrived.resolve(req));
    await ask('POST', '/api/runtime/config', { membridge_server_url: url });
    const caller = request(`${runtime.plane.url}/api/membridge/spaces`, { headers: people });
    caller.on('error', () => undefined);
    caller.end();
    const { socket } = await arrived.promise;
    const closed = new Promise((resolve) => void socket.once('close', resolve));
    caller.destroy();
    await closed;
    await close();
  });

  test('allow at most 20 tests a minute', async () => {
    const statuses = [];
    for (let n = 0; n < 21; n += 1) statuses.push((await ask('POST', '/api/runtime/test-connection')).status);
    expect(statuses.at(-1)).toBe(429);
    expect(statuses[0]).toBe(200);
  });
});

test('keeps and tests the settings in a process of both roles, but does not use them', async () => {
  const both = await startTestPlane();
  try {
    expect((await both.call('GET', '/api/runtime/config')).body).toMatchObject({
      membridge_server_url: '',
      admin_key_masked: '',
      connected: true,
      in_use: false,
      connection: { remote: false, circuit: 'closed' },
    });
    const own = await both.call('POST', '/api/runtime/test-connection');
    expect(own.body).toMatchObject({ connected: true, health: { service: 'membridge-control-plane' } });
    const body = { membridge_server_url: control.plane.url, admin_key: ADMIN_KEY };
    expect((await both.call('POST', '/api/runtime/config', { body })).status).toBe(200);
    expect((await both.call('POST', '/api/runtime/test-connection')).body).toMatchObject({
      connected: true,
      health: { agents: 1 },
    });
    expect((await both.call('GET', '/api/membridge/health')).body['agents']).toBe(0);
  } finally {
    await both.stop();
  }
});

/** Starts another server. With the body null it never answers. */
async function serve(
  body: string | null,
  status = 200,
  onRequest: (req: IncomingMessage) => void = () => undefined,
): Promise<{ url: string; close: () => Promise<void> }> {
  const server: Server = createServer((req, res) => {
    onRequest(req);
    if (body !== null) res.writeHead(status, { 'Content-Type': 'application/json' }).end(body);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}
