import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { Writable } from 'node:stream';
import { connect } from 'node:tls';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeKey, type MadeCertificate } from '../../stack/tls/x509.ts';
import { RUNTIME_KEY, enrolNode, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import {
  newAuthority,
  newCertificate,
  pairFiles,
  startTlsPlane,
  type PairFiles,
  type TestAuthority,
} from '../../test/support/tls.ts';
import { parseConfig } from '../config.ts';
import { openPair } from './kept-pair.ts';

let authority: TestAuthority;
let first: MadeCertificate;
let files: PairFiles;
let plane: TestPlane;
const lines: string[] = [];

beforeAll(async () => {
  authority = await newAuthority();
  first = await newCertificate(authority);
  files = pairFiles(first);
  const kept = new Writable({
    write: (line: Buffer, _encoding, done) => {
      lines.push(line.toString());
      done();
    },
  });
  plane = await startTlsPlane(files, authority.pin, { logger: pino({ level: 'info' }, kept) });
});
afterAll(async () => await plane.stop());

/** Returns the serial number of the certificate that a new connection gets. */
async function serial(): Promise<string> {
  const { hostname, port } = new URL(plane.plane.url);
  const socket = connect({ host: hostname, port: Number(port), ca: authority.certificate });
  await once(socket, 'secureConnect');
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

const serialOf = ({ certificate }: MadeCertificate): string => new X509Certificate(certificate).serialNumber;
const POLL = { timeout: 20_000 };

describe('a control plane with a certificate of its own', () => {
  test('answers by HTTPS, and names the pin of its authority with a token', async () => {
    expect(plane.plane.url).toMatch(/^https:/);
    const { body } = await plane.call('POST', '/api/runtime/enrolment-tokens', { body: {} });
    expect(body).toMatchObject({ server_pin: authority.pin });
  });

  test('replaces its certificate without dropping an open stream', async () => {
    const stream = request(`${plane.plane.url}/api/events`, {
      headers: { 'X-Runtime-API-Key': RUNTIME_KEY },
      ca: authority.certificate,
      agent: false,
    }).end();
    const [answer] = (await once(stream, 'response')) as [IncomingMessage];
    let text = '';
    let isOver = false;
    answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    answer.once('close', () => (isOver = true));
    expect(await serial()).toBe(serialOf(first));

    const second = await newCertificate(authority);
    // Between the two writes the files do not fit together.
    files.write({ certificate: second.certificate });
    await expect.poll(() => lines.join(''), POLL).toContain('is not the key of the certificate');
    expect(await serial()).toBe(serialOf(first));
    files.write({ key: second.key });
    await expect.poll(serial, POLL).toBe(serialOf(second));
    expect(lines.join('')).toContain('the TLS certificate was replaced');

    await enrolNode(plane, 'grace');
    await expect.poll(() => text, POLL).toContain('grace');
    expect(isOver).toBe(false);
    stream.destroy();
  });

  test('keeps its certificate when the new one is broken or expired', async () => {
    const before = await serial();
    files.write({ certificate: first.certificate.slice(0, 100) });
    await expect.poll(() => lines.join(''), POLL).toContain('holds no certificate');
    files.write(await newCertificate(authority, { days: -1 }));
    await expect.poll(() => lines.join(''), POLL).toContain(') expired at ');
    expect(await serial()).toBe(before);
  });

  test('does not start with an expired certificate', async () => {
    const expired = pairFiles(await newCertificate(authority, { days: -1 }));
    const start = startTestPlane({ env: { ...expired.env } });
    await expect(start).rejects.toThrow(/^MEMBRIDGE_TLS_CERT: .* expired at .*Z\. Renew it$/);
  });
});

describe('the files of a certificate', () => {
  const open = ({ env }: PairFiles) =>
    openPair({ certFile: env.MEMBRIDGE_TLS_CERT, keyFile: env.MEMBRIDGE_TLS_KEY }, pino({ level: 'silent' }));

  test('are refused when the key is another one', async () => {
    expect(() => open(pairFiles({ ...first, key: makeKey() }))).toThrow(
      /^MEMBRIDGE_TLS_KEY: .* is not the key of/,
    );
  });

  test('are refused when the key cannot be read', () => {
    expect(() => open(pairFiles({ ...first, key: 'no key' }))).toThrow(/^MEMBRIDGE_TLS_KEY: .* holds no key/);
  });

  test('are refused when one is missing', () => {
    const missing = pairFiles(first);
    rmSync(missing.env.MEMBRIDGE_TLS_CERT);
    expect(() => open(missing)).toThrow(/^MEMBRIDGE_TLS_CERT: .* cannot be read \(ENOENT/);
  });

  test('are refused when the certificate is not PEM', () => {
    const binary = pairFiles(first);
    writeFileSync(binary.env.MEMBRIDGE_TLS_CERT, new X509Certificate(first.certificate).raw);
    expect(() => open(binary)).toThrow(/^MEMBRIDGE_TLS_CERT: .* holds no certificate/);
  });

  test.each(['MEMBRIDGE_TLS_CERT', 'MEMBRIDGE_TLS_KEY'])('are refused with %s alone', (name) => {
    expect(() => parseConfig({ [name]: '/a/file.pem' })).toThrow(/The settings cannot be used/);
  });
});
