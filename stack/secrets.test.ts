import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadServerSecrets } from './secrets.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-secrets-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('are made once, of the right kind, in a file only its owner can read', () => {
  const first = loadServerSecrets(folder, {});
  expect(first.MEMBRIDGE_ADMIN_KEY).toMatch(/^[0-9a-f]{64}$/);
  expect(first.RUNTIME_API_KEY).toMatch(/^[0-9a-f]{64}$/);
  const key = createPrivateKey({
    key: Buffer.from(first.MEMBRIDGE_SIGNING_KEY, 'base64'),
    format: 'der',
    type: 'pkcs8',
  });
  expect(key.asymmetricKeyType).toBe('ed25519');
  expect(statSync(join(folder, 'server.env')).mode & 0o777).toBe(0o600);
  expect(loadServerSecrets(folder, {})).toEqual(first);
});

test('keep what the file says, and add only what is missing', () => {
  writeFileSync(join(folder, 'server.env'), '# mine\nRUNTIME_API_KEY=chosen=by=hand\n');
  const secrets = loadServerSecrets(folder, {});
  expect(secrets.RUNTIME_API_KEY).toBe('chosen=by=hand');
  const text = readFileSync(join(folder, 'server.env'), 'utf8');
  expect(text.startsWith('# mine\nRUNTIME_API_KEY=chosen=by=hand\nMEMBRIDGE_ADMIN_KEY=')).toBe(true);
});

test('come from the environment first, and are then not written to the file', () => {
  expect(loadServerSecrets(folder, { RUNTIME_API_KEY: 'from outside' }).RUNTIME_API_KEY).toBe('from outside');
  expect(readFileSync(join(folder, 'server.env'), 'utf8')).not.toContain('RUNTIME_API_KEY');
});
