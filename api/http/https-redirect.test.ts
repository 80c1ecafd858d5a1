import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { planeEnvironment, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import { parseConfig } from '../config.ts';

let production: TestPlane;
let named: TestPlane;
let open: TestPlane;
beforeAll(async () => {
  const behindProxy = { MEMBRIDGE_TRUST_PROXY: '1' };
  production = await startTestPlane({ env: { ...behindProxy, NODE_ENV: 'production' } });
  const publicUrl = 'https://fleet.example.org/membridge';
  named = await startTestPlane({
    env: { ...behindProxy, MEMBRIDGE_HTTPS_REDIRECT: '1', MEMBRIDGE_PUBLIC_URL: publicUrl },
  });
  open = await startTestPlane({ env: behindProxy });
});
afterAll(async () => await Promise.all([production.stop(), named.stop(), open.stop()]));

const PLAIN = { 'X-Forwarded-Proto': 'http' };

/** Returns where a request is sent, or its status. */
async function ask({ plane }: TestPlane, path: string, headers: Record<string, string>, method = 'GET') {
  const answer = await fetch(`${plane.url}${path}`, { method, headers, redirect: 'manual' });
  await answer.text();
  return answer.headers.get('Location') ?? answer.status;
}

describe('the redirect to https', () => {
  test('sends on what reached the proxy by plain HTTP, without the port of plain HTTP', async () => {
    expect(await ask(production, '/nodes?a=1', PLAIN)).toBe('https://127.0.0.1/nodes?a=1');
    expect(await ask(production, '/api/session', PLAIN, 'POST')).toBe('https://127.0.0.1/api/session');
  });

  test('leads to the public address and below its path', async () => {
    const address = 'https://fleet.example.org/membridge/nodes';
    expect(await ask(named, '/membridge/nodes', PLAIN)).toBe(address);
    expect(await ask(named, '/nodes', PLAIN)).toBe(address);
  });

  test('leaves alone what came by https, and checks of the machine itself', async () => {
    expect(await ask(production, '/health', { 'X-Forwarded-Proto': 'https' })).toBe(200);
    expect(await ask(production, '/health', {})).toBe(200);
  });

  test('is off outside of production', async () => {
    expect(await ask(open, '/health', PLAIN)).toBe(200);
  });

  test('can be set against NODE_ENV', () => {
    const isOn = (env: Record<string, string>): boolean =>
      parseConfig({ ...planeEnvironment('postgresql://a', inject('parts')), ...env }).redirectsToHttps;
    expect(isOn({ NODE_ENV: 'production' })).toBe(true);
    expect(isOn({ NODE_ENV: 'production', MEMBRIDGE_HTTPS_REDIRECT: '0' })).toBe(false);
  });
});
