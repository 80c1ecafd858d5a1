import { afterAll, beforeAll, expect, test } from 'vitest';
import { RUNTIME_KEY, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';

let plain: TestPlane;
let second: TestPlane;
let proxied: TestPlane;
beforeAll(async () => {
  plain = await startTestPlane({ env: { MEMBRIDGE_TRUST_PROXY: '1' } });
  second = await startTestPlane();
  proxied = await startTestPlane({
    env: { MEMBRIDGE_PUBLIC_URL: 'https://fleet.example.org', MEMBRIDGE_HSTS_SECONDS: '86400' },
  });
});
afterAll(async () => await Promise.all([plain.stop(), second.stop(), proxied.stop()]));

async function signIn(plane: TestPlane, headers: Record<string, string> = {}) {
  const answer = await plane.call('POST', '/api/session', { headers, body: { key: RUNTIME_KEY } });
  expect(answer.status).toBe(200);
  const set = answer.headers.get('Set-Cookie') ?? '';
  const [pair = ''] = set.split(';');
  return { set, pair, name: pair.split('=')[0] ?? '' };
}
const isSignedIn = async (plane: TestPlane, headers: Record<string, string>): Promise<unknown> =>
  (await plane.call('GET', '/api/session', { headers })).body['signed_in'];

test('names the cookie differently for each server, because browsers share cookies between ports', async () => {
  const [one, other] = [await signIn(plain), await signIn(second)];
  expect(one.name).toMatch(/^membridge_session_[0-9a-f]{8}$/);
  expect(other.name).not.toBe(one.name);
  const Cookie = `${one.pair}; ${other.pair}`;
  expect([await isSignedIn(plain, { Cookie }), await isSignedIn(second, { Cookie })]).toEqual([true, true]);
});

test('sets a cookie only for https behind an https proxy, although the proxy itself uses plain HTTP', async () => {
  const { set, pair } = await signIn(proxied);
  expect(set).toMatch(/^__Host-membridge_session_[0-9a-f]{8}=.+; Path=\/;.* Secure/);
  expect(await isSignedIn(proxied, { Cookie: pair })).toBe(true);
});

test('keeps the cookie of the plain address after a sign-in by https', async () => {
  const https = { 'X-Forwarded-Proto': 'https' };
  const secure = await signIn(plain, https);
  const open = await signIn(plain);
  expect([secure.set.includes('Secure'), open.set.includes('Secure')]).toEqual([true, false]);
  expect(secure.name).not.toBe(open.name);
  expect(await isSignedIn(plain, { ...https, Cookie: secure.pair })).toBe(true);
  expect(await isSignedIn(plain, { Cookie: open.pair })).toBe(true);
});

test('requires https for the whole host only when the setting says so', async () => {
  for (const path of ['/health', '/', '/docs', '/api/session', '/no/such/path']) {
    const headers = { 'X-Forwarded-Proto': 'https' };
    const asked = (await plain.call('GET', path, { headers })).headers.get('Strict-Transport-Security');
    expect([path, asked]).toEqual([path, null]);
  }
  const { headers } = await proxied.call('GET', '/health', { headers: {} });
  expect(headers.get('Strict-Transport-Security')).toBe('max-age=86400');
});

test('keeps an idle connection open for longer than Caddy does', async () => {
  const { headers } = await plain.call('GET', '/health', { headers: {} });
  expect(Number(/timeout=(\d+)/.exec(headers.get('Keep-Alive') ?? '')?.[1])).toBeGreaterThan(120);
});
