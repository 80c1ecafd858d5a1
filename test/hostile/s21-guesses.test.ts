import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../../api/config.ts';
import { randomSecret } from '../../api/auth/secrets.ts';
import {
  RUNTIME_KEY,
  enrolNode,
  enrolment,
  heartbeat,
  startTestPlane,
  type TestPlane,
} from '../support/control-plane.ts';

let api: TestPlane;
beforeEach(async () => void (api = await startTestPlane()));
afterEach(async () => await api.stop());

/** Tries different random keys until the control plane stops checking them. @returns how many it checked */
async function guess(attempt: (key: string) => Promise<{ status: number }>): Promise<number> {
  for (let count = 0; count < 200; count += 1) {
    const { status } = await attempt(randomSecret());
    if (status === 429) return count;
    expect(status).toBe(401);
  }
  throw new Error('200 wrong keys were not limited');
}
const signIn = (key: string) => api.call('POST', '/api/session', { headers: {}, body: { key } });
const withHeader = (method: string, path: string, header: string) => (key: string) =>
  api.call(method, path, { headers: { [header]: key } });

describe('S21: wrong keys', () => {
  it.each([
    ['GET', '/metrics', 'X-Runtime-API-Key'],
    ['GET', '/api/runtime/workers', 'Authorization'],
    ['GET', '/projects', 'X-MEMBRIDGE-ADMIN'],
    ['POST', '/api/agent/heartbeat', 'X-MEMBRIDGE-AGENT'],
    ['POST', '/agent/heartbeat', 'X-MEMBRIDGE-AGENT'],
    ['GET', '/api/agent/calls', 'X-MEMBRIDGE-AGENT'],
    ['POST', '/api/runtime/workers/:id/calls/doctor', 'X-Runtime-API-Key'],
    ['GET', '/api/events', 'X-Runtime-API-Key'],
  ])('are refused without a check after 100 in a minute: %s %s with %s', async (method, path, header) => {
    const attempt = withHeader(method, path, header);
    expect(await guess((key) => attempt(header === 'Authorization' ? `Bearer ${key}` : key))).toBe(100);
  });

  it('count together for all routes and headers', async () => {
    expect(await guess(signIn)).toBe(100);
    for (const header of ['X-MEMBRIDGE-ADMIN', 'X-Runtime-API-Key', 'X-MEMBRIDGE-AGENT']) {
      expect((await withHeader('GET', '/metrics', header)(randomSecret())).status).toBe(429);
    }
    const body = enrolment('new', randomSecret());
    expect((await api.call('POST', '/api/agent/enrol', { headers: {}, body })).status).toBe(429);
  });

  it('do not lock out a right key from the same address', async () => {
    const { agent_key } = await enrolNode(api, 'known');
    const report = { headers: { 'X-MEMBRIDGE-AGENT': agent_key }, body: heartbeat() };
    expect((await api.call('POST', '/api/agent/heartbeat', report)).status).toBe(200);
    await guess(signIn);
    expect((await signIn(RUNTIME_KEY)).status).toBe(200);
    expect((await api.call('GET', '/api/runtime/workers')).status).toBe(200);
    expect((await api.call('POST', '/api/agent/heartbeat', report)).status).toBe(200);
  });

  it('are refused without a check after 20 in a minute when they start like the right one', async () => {
    const statuses: number[] = [];
    for (let count = 0; count < 21; count += 1) {
      statuses.push((await signIn(`${RUNTIME_KEY.slice(0, 10)}${randomSecret()}`)).status);
    }
    expect(statuses).toEqual([...Array.from({ length: 20 }, () => 401), 429]);
  });

  it.each(['RUNTIME_API_KEY', 'MEMBRIDGE_ADMIN_KEY', 'MEMBRIDGE_AGENT_KEY'])(
    'cannot be found by trying all, because the control plane refuses a short %s',
    (name) => {
      expect(() => parseConfig({ ...ownSettings(), [name]: 'sixteen-letters!' })).not.toThrow();
      expect(() => parseConfig({ ...ownSettings(), [name]: 'fifteen-letters' })).toThrow(
        `${name} has fewer than 16 characters`,
      );
    },
  );
});

/** Settings that are valid except for the key under test. */
function ownSettings(): Record<string, string> {
  const { config } = api.plane.deps;
  return {
    DATABASE_URL: config.databaseUrl,
    MINIO_ENDPOINT: config.store.endpoint,
    MINIO_ACCESS_KEY: 'a',
    MINIO_SECRET_KEY: 's',
    MEMBRIDGE_ADMIN_KEY: 'a'.repeat(16),
    RUNTIME_API_KEY: 'a'.repeat(16),
    MEMBRIDGE_SIGNING_KEY: config.signingKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
  };
}
