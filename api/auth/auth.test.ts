import { afterAll, beforeAll, expect, test } from 'vitest';
import { request } from 'node:http';
import {
  ADMIN_KEY,
  RUNTIME_KEY,
  SHARED_AGENT_KEY,
  enrolNode,
  heartbeat,
  startTestPlane,
  type TestPlane,
} from '../../test/support/control-plane.ts';
import { hashSession } from './auth.ts';
import { ROUTES } from '../routes/index.ts';

let api: TestPlane;
let nodeKey: string;
beforeAll(async () => {
  api = await startTestPlane();
  nodeKey = (await enrolNode(api, 'node-a')).agent_key;
});
afterAll(async () => await api.stop());

const guarded = ROUTES.filter((route) => route.auth !== 'none').map((route) => ({
  method: route.method,
  path: route.path.replace(':cid', '0123456789abcdef').replace(/:\w+/, 'x'),
}));

test.each(guarded)('$method $path refuses a request without a key', async ({ method, path }) => {
  const answer = await api.call(method.toUpperCase(), path, { headers: {} });
  expect(answer.status).toBe(401);
  expect(answer.body['error']).toBe(answer.body['detail']);
});

test.each([
  ['GET', '/projects', 'X-MEMBRIDGE-ADMIN', ADMIN_KEY, 200],
  ['GET', '/projects', 'X-MEMBRIDGE-ADMIN', `${ADMIN_KEY}x`, 401],
  ['GET', '/projects', 'X-Runtime-API-Key', RUNTIME_KEY, 401],
  ['GET', '/api/runtime/workers', 'X-MEMBRIDGE-ADMIN', ADMIN_KEY, 200],
  ['GET', '/api/runtime/workers', 'X-Runtime-API-Key', RUNTIME_KEY, 200],
  ['GET', '/api/runtime/workers', 'X-Runtime-API-Key', 'wrong', 401],
  ['GET', '/api/runtime/workers', 'Authorization', `Bearer ${RUNTIME_KEY}`, 200],
  ['GET', '/api/runtime/workers', 'Authorization', 'Bearer wrong', 401],
  ['GET', '/api/runtime/workers', 'X-MEMBRIDGE-AGENT', SHARED_AGENT_KEY, 401],
  ['POST', '/api/agent/heartbeat', 'X-MEMBRIDGE-AGENT', SHARED_AGENT_KEY, 401],
  ['POST', '/api/agent/heartbeat', 'X-MEMBRIDGE-ADMIN', ADMIN_KEY, 401],
  ['POST', '/agent/heartbeat', 'X-MEMBRIDGE-AGENT', SHARED_AGENT_KEY, 422],
  ['POST', '/agent/heartbeat', 'X-MEMBRIDGE-ADMIN', ADMIN_KEY, 422],
])('%s %s with %s: %s answers %i', async (method, path, header, value, status) => {
  const body = method === 'POST' ? {} : undefined;
  expect((await api.call(method, path, { headers: { [header]: value }, body })).status).toBe(status);
});

test.each(['X-MEMBRIDGE-ADMIN', 'X-Runtime-API-Key', 'Authorization', 'Cookie'])(
  'refuses a non-ASCII %s without an internal error',
  async (header) => {
    const value = Buffer.from('Bearer membridge_session=ключ', 'utf8').toString('latin1');
    const status = await new Promise((resolve, reject) => {
      request(`${api.plane.url}/api/runtime/workers`, { headers: { [header]: value } }, (res) => {
        res.resume();
        resolve(res.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(401);
  },
);

test("accepts a node's key for that node, until the node is removed", async () => {
  const { agent_key } = await enrolNode(api, 'node-b');
  const report = { headers: { 'X-MEMBRIDGE-AGENT': agent_key }, body: heartbeat() };
  expect((await api.call('POST', '/api/agent/heartbeat', report)).status).toBe(200);
  await api.call('DELETE', '/api/runtime/workers/node-b');
  expect((await api.call('POST', '/api/agent/heartbeat', report)).status).toBe(401);
});

test("refuses a node's key for a report about another node on the original's path", async () => {
  const answer = await api.call('POST', '/agent/heartbeat', {
    headers: { 'X-MEMBRIDGE-AGENT': nodeKey },
    body: { node_id: 'node-z', canonical_id: '0123456789abcdef' },
  });
  expect(answer.status).toBe(403);
});

test('keeps a valid request id, and otherwise makes one', async () => {
  const given = await api.call('GET', '/health', { headers: { 'X-Request-ID': 'abc-1' } });
  expect(given.headers.get('X-Request-ID')).toBe('abc-1');
  const bad = await api.call('GET', '/nowhere', { headers: { 'X-Request-ID': 'a b"<' } });
  expect(bad.headers.get('X-Request-ID')).toMatch(/^[0-9a-f]{12}$/);
  expect(bad.body['request_id']).toBe(bad.headers.get('X-Request-ID'));
});

test('lets a browser sign in, change things only from its own page, and sign out', async () => {
  const wrong = await api.call('POST', '/api/session', { headers: {}, body: { key: 'wrong' } });
  expect(wrong.status).toBe(401);
  const signedIn = await api.call('POST', '/api/session', { headers: {}, body: { key: RUNTIME_KEY } });
  const setCookie = signedIn.headers.get('Set-Cookie') ?? '';
  expect(setCookie).toMatch(/HttpOnly/);
  expect(setCookie).toMatch(/SameSite=Strict/);
  expect(setCookie).toMatch(/Path=\/;/);
  const Cookie = setCookie.split(';')[0] ?? '';
  expect((await api.call('GET', '/api/session', { headers: { Cookie } })).body['signed_in']).toBe(true);
  expect((await api.call('GET', '/api/runtime/workers', { headers: { Cookie } })).status).toBe(200);
  const create = (headers: Record<string, string>, name: string) =>
    api.call('POST', '/api/membridge/spaces', { headers: { Cookie, ...headers }, body: { name } });
  expect((await create({}, 'no-origin')).status).toBe(403);
  expect((await create({ Origin: 'http://evil.test' }, 'evil')).status).toBe(403);
  expect((await create({ Origin: 'null' }, 'null-origin')).status).toBe(403);
  expect((await create({ Origin: api.plane.url }, 'own')).status).toBe(201);
  expect((await api.call('DELETE', '/api/session', { headers: { Cookie } })).status).toBe(403);
  const out = { headers: { Cookie, Origin: api.plane.url } };
  expect((await api.call('DELETE', '/api/session', out)).status).toBe(200);
  expect((await api.call('GET', '/api/runtime/workers', { headers: { Cookie } })).status).toBe(401);
});

test('ends an event stream within seconds after its browser signed out', async () => {
  const signedIn = await api.call('POST', '/api/session', { headers: {}, body: { key: RUNTIME_KEY } });
  const Cookie = (signedIn.headers.get('Set-Cookie') ?? '').split(';')[0] ?? '';
  const stream = await fetch(`${api.plane.url}/api/events`, {
    headers: { Cookie },
    signal: AbortSignal.timeout(8_000),
  });
  expect(stream.status).toBe(200);
  const out = { headers: { Cookie, Origin: api.plane.url } };
  expect((await api.call('DELETE', '/api/session', out)).status).toBe(200);
  // Resolves only when the server ends the stream; otherwise the time-out above rejects it.
  await expect(stream.text()).resolves.toContain('retry:');
}, 15_000);

test('ends every session when the API key or admin key changes', () => {
  const { config } = api.plane.deps;
  const known = hashSession('cookie', { config });
  expect(hashSession('cookie', { config: { ...config } })).toBe(known);
  expect(hashSession('cookie', { config: { ...config, runtimeKey: 'another' } })).not.toBe(known);
  expect(hashSession('cookie', { config: { ...config, adminKey: 'another' } })).not.toBe(known);
});
