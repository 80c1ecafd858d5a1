import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { RUNTIME_KEY, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';

let plane: TestPlane;
beforeAll(async () => {
  const { uiUrl } = inject('parts').temporal;
  if (uiUrl === undefined) throw new Error('The run has no page of Temporal.');
  plane = await startTestPlane({
    env: { MEMBRIDGE_PUBLIC_URL: 'https://h.example/tools/m/', TEMPORAL_UI_ORIGIN: uiUrl },
  });
});
afterAll(async () => await plane.stop());

/** Returns a path's answers through a proxy that removes the base path, and through one that keeps it. */
async function askBoth(path: string, init: RequestInit = {}): Promise<[Response, Response]> {
  const ask = async (url: string) => await fetch(`${plane.plane.url}${url}`, { redirect: 'manual', ...init });
  return [await ask(path), await ask(`/tools/m${path}`)];
}

test('gives the same answer with and without the base path', async () => {
  for (const path of ['/health', '/docs', '/docs/errors', '/openapi.json', '/api/session', '/no/such/path']) {
    const [without, withIt] = await askBoth(path);
    expect([path, withIt.status, withIt.headers.get('Content-Type')]).toEqual([
      path,
      without.status,
      without.headers.get('Content-Type'),
    ]);
  }
});

test('puts the base path into addresses of the API, webhooks, Temporal and errors', async () => {
  const { body: document } = await plane.call('GET', '/openapi.json');
  expect(document['servers']).toEqual([{ url: '/tools/m' }]);
  const { body: absent } = await plane.call('GET', '/no/such/path');
  expect(absent['detail']).toContain('/tools/m/no/such/path. GET /tools/m/docs');
  expect(absent['type']).toBe('/tools/m/docs/errors#not_found');
  const body = { name: 'garden', repo_url: 'https://git.example.org/garden' };
  const { body: project } = await plane.call('POST', '/api/runtime/projects', { body });
  const hook = `/api/runtime/projects/${String(project['id'])}/push`;
  const { body: webhook } = await plane.call('POST', `${hook}-webhook`, { body: {} });
  expect(webhook).toMatchObject({ path: hook, url: `https://h.example/tools/m${hook}` });
  const { body: health } = await plane.call('GET', '/api/runtime/health');
  expect(health['temporal_ui']).toBe('https://h.example/tools/m/temporal');
});

test('redirects below the base path, however the request came', async () => {
  for (const answer of await askBoth('/ui'))
    expect(answer.headers.get('Location')).toBe('/tools/m/membridge');
  const browser = { headers: { Accept: 'text/html' } };
  for (const answer of await askBoth('/temporal/', browser))
    expect([answer.status, answer.headers.get('Location')]).toEqual([303, '/tools/m/signin']);
});

test('shows Temporal’s page with addresses below the base path', async () => {
  const html = await (
    await fetch(`${plane.plane.url}/temporal/`, {
      headers: { Accept: 'text/html', 'X-Runtime-API-Key': RUNTIME_KEY },
    })
  ).text();
  expect(html).toContain('"/tools/m/temporal');
  expect(html).not.toMatch(/"\/temporal/);
});

test('limits the sign-in cookie to the base path and to https', async () => {
  const { headers } = await plane.call('POST', '/api/session', { headers: {}, body: { key: RUNTIME_KEY } });
  expect(headers.get('Set-Cookie')).toMatch(
    /^__Secure-membridge_session_[0-9a-f]{8}=.+; Path=\/tools\/m;.* Secure/,
  );
});
