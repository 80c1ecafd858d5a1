import { expect, test } from 'vitest';
import { parseConfig } from './config.ts';
import { planeEnvironment } from '../test/support/control-plane.ts';

const env = planeEnvironment('postgresql://h/d', {
  databaseUrl: '',
  temporal: { address: '127.0.0.1:7233', namespace: 'default' },
  minio: { endpoint: 'http://127.0.0.1:9000', accessKey: 'a', secretKey: 's' },
});

test('names a missing setting', () => {
  const { RUNTIME_API_KEY: _, ...rest } = env;
  expect(() => parseConfig(rest)).toThrow('RUNTIME_API_KEY is not set');
});

test('refuses an unknown MEMBRIDGE_ name, and suggests the nearest known one', () => {
  expect(() => parseConfig({ ...env, MEMBRIDGE_PROT: '1' })).toThrow('did you mean MEMBRIDGE_PORT?');
});

test('accepts names of the agent and of the stack', () => {
  expect(parseConfig({ ...env, MEMBRIDGE_NODE_ID: 'n', MEMBRIDGE_MINIO_PORT: '9' }).port).toBe(0);
});

test('refuses an invalid signing key', () => {
  expect(() => parseConfig({ ...env, MEMBRIDGE_SIGNING_KEY: 'AAAA' })).toThrow(
    /MEMBRIDGE_SIGNING_KEY must be an Ed25519/,
  );
});

test.each([
  ['https://minio.example', undefined, undefined, 'https://minio.example'],
  ['minio', '9100', undefined, 'http://minio:9100'],
  ['minio', undefined, 'true', 'https://minio:9000'],
])('reads MINIO_ENDPOINT %s with port %s and SSL %s as %s', (endpoint, port, ssl, expected) => {
  const config = parseConfig({ ...env, MINIO_ENDPOINT: endpoint, MINIO_PORT: port, MINIO_USE_SSL: ssl });
  expect(config.store.endpoint).toBe(expected);
  expect(config.agents.storeEndpoint).toBe(expected);
});

test('freezes the configuration', () => {
  expect(Object.isFrozen(parseConfig(env))).toBe(true);
});

test.each([
  [undefined, ['control', 'runtime']],
  ['runtime, control', ['control', 'runtime']],
  ['runtime', ['runtime']],
  ['control', ['control']],
])('reads MEMBRIDGE_ROLES %j as %j', (given, expected) => {
  expect([...parseConfig({ ...env, MEMBRIDGE_ROLES: given }).roles]).toEqual(expected);
});

test.each(['agent', 'control,', 'control;runtime', ' '])('refuses MEMBRIDGE_ROLES %j', (given) => {
  expect(() => parseConfig({ ...env, MEMBRIDGE_ROLES: given })).toThrow(/MEMBRIDGE_ROLES must be/);
});

test('needs no admin key in a runtime-only process, and reads the address of the control plane only there', () => {
  const given: Record<string, string> = { ...env, MEMBRIDGE_SERVER_URL: 'http://plane:8000/' };
  const { MEMBRIDGE_ADMIN_KEY: _, ...rest } = given;
  expect(() => parseConfig(rest)).toThrow('MEMBRIDGE_ADMIN_KEY is not set');
  const alone = parseConfig({ ...rest, MEMBRIDGE_ROLES: 'runtime' });
  expect(alone).toMatchObject({ adminKey: null, controlPlaneUrl: 'http://plane:8000' });
  expect(parseConfig(given).controlPlaneUrl).toBeNull();
  expect(() =>
    parseConfig({ ...rest, MEMBRIDGE_ROLES: 'runtime', MEMBRIDGE_SERVER_URL: 'plane:8000' }),
  ).toThrow(/MEMBRIDGE_SERVER_URL must be/);
});

test('derives the base path from the public address, without a final slash', () => {
  const given = (MEMBRIDGE_PUBLIC_URL: string) => parseConfig({ ...env, MEMBRIDGE_PUBLIC_URL });
  expect(given('https://h.example/a/b/')).toMatchObject({
    publicUrl: 'https://h.example/a/b',
    basePath: '/a/b',
  });
  expect(given('https://h.example/')).toMatchObject({ publicUrl: 'https://h.example', basePath: '' });
  expect(given('')).toMatchObject({ publicUrl: null, basePath: '' });
});

test.each([
  'h.example',
  'ftp://h.example',
  'https://me@h.example',
  'https://h.example/?a=1',
  'https://h/api',
])('refuses MEMBRIDGE_PUBLIC_URL %s', (MEMBRIDGE_PUBLIC_URL) => {
  expect(() => parseConfig({ ...env, MEMBRIDGE_PUBLIC_URL })).toThrow(/MEMBRIDGE_PUBLIC_URL (must|has)/);
});
