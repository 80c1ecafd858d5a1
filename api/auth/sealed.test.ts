import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { seal, unseal } from './sealed.ts';

const { privateKey } = generateKeyPairSync('ed25519');
const SECRET = 'schlüssel 🔑 with spaces\nand lines';

test('opens what it sealed, also an empty and a long text', () => {
  for (const text of [SECRET, '', 'x'.repeat(100_000)]) {
    expect(unseal(privateKey, seal(privateKey, text, 'setting:admin_key'), 'setting:admin_key')).toBe(text);
  }
});

test('makes printable texts that show nothing of the secret and are never equal', () => {
  const first = seal(privateKey, SECRET, 'setting:admin_key');
  expect(first).toMatch(/^membridge-sealed\/1:[\w-]+$/);
  expect(first).not.toContain(Buffer.from(SECRET).toString('base64url'));
  expect(seal(privateKey, SECRET, 'setting:admin_key')).not.toBe(first);
});

test('refuses to open under another signing key or in another context', () => {
  const sealed = seal(privateKey, SECRET, 'setting:admin_key');
  expect(() => unseal(privateKey, sealed, 'credential:1')).toThrow(/credential:1.*Set it again/);
  const other = generateKeyPairSync('ed25519').privateKey;
  expect(() => unseal(other, sealed, 'setting:admin_key')).toThrow(/another MEMBRIDGE_SIGNING_KEY/);
});

test('notices a change of any byte, a cut text and a foreign text', () => {
  const sealed = seal(privateKey, 'secret', 'setting:admin_key');
  const bytes = Buffer.from(sealed.split(':')[1] ?? '', 'base64url');
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    const text = `membridge-sealed/1:${changed.toString('base64url')}`;
    expect(() => unseal(privateKey, text, 'setting:admin_key')).toThrow(/cannot be opened/);
  }
  for (const text of [sealed.slice(0, -4), sealed.slice(0, 30), '', 'plain', 'membridge-sealed/1:']) {
    expect(() => unseal(privateKey, text, 'setting:admin_key')).toThrow(/setting:admin_key/);
  }
});
