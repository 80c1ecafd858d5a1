import { createServer, request, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { isOwnHost } from '../../contract/nodes/own-host.ts';
import { RUNTIME_KEY, startTestPlane, type TestPlane } from '../support/control-plane.ts';
import { taskCalls } from '../tasks/calls.ts';

const KEY = { 'X-Runtime-API-Key': RUNTIME_KEY };
let api: TestPlane;
beforeAll(async () => {
  const { uiUrl } = inject('parts').temporal;
  if (uiUrl === undefined) throw new Error('The run has no page of Temporal.');
  api = await startTestPlane({ env: { TEMPORAL_UI_ORIGIN: uiUrl } });
});
afterAll(async () => await api.stop());

/** Sends a request with any Host header, which fetch does not allow. */
async function raw(
  url: string,
  headers: Record<string, string>,
  method = 'GET',
): Promise<{ status: number; body: string; headers: IncomingHttpHeaders }> {
  return await new Promise((resolve, reject) => {
    request(url, { method, headers }, (answer) => {
      text(answer).then(
        (body) => resolve({ status: answer.statusCode ?? 0, body, headers: answer.headers }),
        reject,
      );
    })
      .on('error', reject)
      .end();
  });
}
const at = (path: string): string => `${api.plane.url}${path}`;

describe('S18: Temporal’s own page', () => {
  it('is not at an address that a website can find', () => {
    const { hostname } = new URL(inject('parts').temporal.uiUrl ?? '');
    expect(hostname).toMatch(/^127\./);
    expect(hostname).not.toBe('127.0.0.1');
  });

  it('is shown only to signed-in people, and sends others to the sign-in page', async () => {
    const workflows = `/temporal/api/v1/namespaces/${api.plane.deps.config.engine.namespace}/workflows`;
    const id = await taskCalls(api).make();
    await expect.poll(async () => (await raw(at(workflows), KEY)).body, { timeout: 15_000 }).toContain(id);
    expect((await raw(at(workflows), { Accept: 'application/json' })).status).toBe(401);
    const page = await raw(at('/temporal/namespaces/default/workflows'), { Accept: 'text/html' });
    expect([page.status, page.headers.location]).toEqual([303, '/signin']);
  });

  it('changes nothing through the control plane, whatever the method', async () => {
    const { namespace } = api.plane.deps.config.engine;
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const path = `/temporal/api/v1/namespaces/${namespace}/workflows/w/terminate`;
      expect((await raw(at(path), KEY, method)).status).toBe(403);
    }
  });

  it('runs no script but its own', async () => {
    const { headers, body } = await raw(at('/temporal/'), { ...KEY, Accept: 'text/html' });
    const policy = String(headers['content-security-policy']);
    const scripts = /script-src ([^;]*)/.exec(policy)?.[1] ?? '';
    expect(scripts).toMatch(/^'self'( 'sha256-[\w+/=]+')*$/);
    expect(body).toContain('<script');
  });
});

describe('S18: what is sent to Temporal’s page', () => {
  let upstream: Server;
  let seen: IncomingHttpHeaders;
  let plane: TestPlane;
  beforeAll(async () => {
    upstream = createServer((req, res) => {
      seen = req.headers;
      res.setHeader('Set-Cookie', 'theirs=1').end('ok');
    });
    await new Promise<void>((resolve) => void upstream.listen(0, '127.0.0.1', resolve));
    const { port } = upstream.address() as AddressInfo;
    plane = await startTestPlane({ env: { TEMPORAL_UI_ORIGIN: `http://127.0.0.1:${port}` } });
  });
  afterAll(async () => {
    await plane.stop();
    upstream.close();
  });

  it('carries no key or cookie of ours, and its answers set none', async () => {
    const headers = { ...KEY, Cookie: 'membridge_session=secret', Authorization: 'Bearer secret' };
    const answer = await raw(`${plane.plane.url}/temporal/x`, headers);
    expect(answer.body).toBe('ok');
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(JSON.stringify(seen)).not.toMatch(/secret|runtime-key/);
  });

  it('goes to no other server, whatever the path', async () => {
    for (const path of ['/temporal//evil.test/x', '/temporal/../../x', '/temporal/@evil.test/']) {
      const { status } = await raw(`${plane.plane.url}${path}`, KEY);
      expect([200, 404]).toContain(status);
    }
  });
});

describe('S18: a website that points its own name at this machine', () => {
  it.each(['evil.test', 'evil.test:8000', 'localhost.evil.test', '127.0.0.1.evil.test', '10.0.0.1'])(
    'is refused by a server on loopback, as %j',
    async (Host) => {
      for (const path of ['/health', '/', '/api/runtime/workers', '/docs', '/temporal/']) {
        expect((await raw(at(path), { ...KEY, Host })).status).toBe(403);
      }
    },
  );

  it.each(['localhost', 'LOCALHOST:8000', '127.0.0.1:1', '127.9.8.7', '[::1]:80'])(
    'is not confused with %s',
    (host) => expect(isOwnHost(host)).toBe(true),
  );
});
