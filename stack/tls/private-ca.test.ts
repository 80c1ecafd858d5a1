import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keepPrivateCertificate } from './private-ca.ts';

const DAY_MS = 24 * 60 * 60_000;
const NAMES = ['server.lan', 'localhost', '10.0.0.1', 'fd00::1'];
let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'membridge-ca-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Returns the server's certificate and the authority's. */
function chain(): [X509Certificate, X509Certificate] {
  const text = readFileSync(join(folder, 'server.pem'), 'utf8');
  const [own = '', authority = ''] = text.split(/(?<=-----END CERTIFICATE-----)\n/);
  return [new X509Certificate(own), new X509Certificate(authority)];
}

describe('the private authority', () => {
  test('signs a certificate for every name and address, and shows itself in the chain', async () => {
    await keepPrivateCertificate(folder, NAMES);
    const [own, authority] = chain();
    expect(own.checkIssued(authority) && own.verify(authority.publicKey)).toBe(true);
    expect(own.ca).toBe(false);
    expect(authority.ca).toBe(true);
    expect(own.checkHost('server.lan')).toBe('server.lan');
    expect(own.checkIP('10.0.0.1')).toBe('10.0.0.1');
    expect(own.checkIP('fd00::1')).toBe('fd00::1');
  });

  test('is the same when it is asked for again, and so is the certificate', async () => {
    const first = await keepPrivateCertificate(folder, NAMES);
    const before = readFileSync(first.certFile, 'utf8');
    const second = await keepPrivateCertificate(folder, NAMES);
    expect(second).toEqual({ ...first, isNew: false });
    expect(readFileSync(second.certFile, 'utf8')).toBe(before);
  });

  test('keeps its keys to its owner', async () => {
    await keepPrivateCertificate(folder, NAMES);
    for (const file of ['ca.key', 'server.key']) {
      expect(statSync(join(folder, file)).mode & 0o777, file).toBe(0o600);
    }
  });

  test('renews the certificate when the machine has a new address, with the same keys', async () => {
    const first = await keepPrivateCertificate(folder, NAMES);
    const key = readFileSync(first.keyFile, 'utf8');
    const second = await keepPrivateCertificate(folder, [...NAMES, '10.0.0.2']);
    expect(second).toEqual({ ...first, isNew: true });
    expect(readFileSync(second.keyFile, 'utf8')).toBe(key);
    expect(chain()[0].checkIP('10.0.0.2')).toBe('10.0.0.2');
  });

  test('renews the certificate a month before its end', async () => {
    await keepPrivateCertificate(folder, NAMES);
    const at = (days: number) => keepPrivateCertificate(folder, NAMES, Date.now() + days * DAY_MS);
    expect((await at(59)).isNew).toBe(false);
    expect((await at(61)).isNew).toBe(true);
  });

  test('renews its own certificate a year before its end, and keeps its pin', async () => {
    const first = await keepPrivateCertificate(folder, NAMES);
    const [, former] = chain();
    const second = await keepPrivateCertificate(folder, NAMES, Date.now() + 9.5 * 365 * DAY_MS);
    const [own, authority] = chain();
    expect(second.pin).toBe(first.pin);
    expect(authority.serialNumber).not.toBe(former.serialNumber);
    expect(authority.subject).toBe(former.subject);
    expect(own.verify(former.publicKey)).toBe(true);
  });

  test('survives a stop after its first file', async () => {
    const first = await keepPrivateCertificate(folder, NAMES);
    for (const file of ['ca.pem', 'server.pem', 'server.key']) rmSync(join(folder, file));
    expect(await keepPrivateCertificate(folder, NAMES)).toEqual({ ...first, isNew: true });
  });

  test('does not replace a key that cannot be read, and names the file', async () => {
    await keepPrivateCertificate(folder, NAMES);
    writeFileSync(join(folder, 'ca.key'), 'no key');
    await expect(keepPrivateCertificate(folder, NAMES)).rejects.toThrow(/ca\.key holds no key/);
  });
});
