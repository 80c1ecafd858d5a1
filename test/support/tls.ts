import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueCertificate, makeAuthority, makeKey, type MadeCertificate } from '../../stack/tls/x509.ts';
import { pinOf } from '../../transport/pin.ts';
import { ask } from '../../transport/requests.ts';
import { serverAt } from '../../transport/server.ts';
import { RUNTIME_KEY, startTestPlane, type Answer, type TestPlane } from './control-plane.ts';

const DAY_MS = 24 * 60 * 60_000;

/** An authority for a test, with the pin of its key. */
export interface TestAuthority extends MadeCertificate {
  readonly pin: string;
}

/** Makes an authority. @param key its key in PEM, by default a new one */
export async function newAuthority(key = makeKey()): Promise<TestAuthority> {
  const from = new Date(Date.now() - 3 * DAY_MS);
  const until = new Date(Date.now() + DAY_MS);
  const certificate = await makeAuthority(key, 'CA of a test', { from, until });
  return { key, certificate, pin: pinOf(new X509Certificate(certificate)) };
}

/** Makes a server's certificate with its chain, and its key. @param options.days how long from now it is valid */
export async function newCertificate(
  authority: TestAuthority,
  { names = ['127.0.0.1'], days = 1 }: { names?: string[]; days?: number } = {},
): Promise<MadeCertificate> {
  const key = makeKey();
  const validity = { from: new Date(Date.now() - 2 * DAY_MS), until: new Date(Date.now() + days * DAY_MS) };
  const own = await issueCertificate(authority, key, names, validity);
  return { key, certificate: own + authority.certificate };
}

/** Holds a certificate and its key in files, as MEMBRIDGE_TLS_CERT and MEMBRIDGE_TLS_KEY name them. */
export interface PairFiles {
  readonly env: { readonly MEMBRIDGE_TLS_CERT: string; readonly MEMBRIDGE_TLS_KEY: string };
  write(pair: Partial<MadeCertificate>): void;
}

export function pairFiles(pair: MadeCertificate): PairFiles {
  const folder = mkdtempSync(join(tmpdir(), 'membridge-tls-'));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const replace = (file: string, text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  const write = (next: Partial<MadeCertificate>): void => {
    if (next.key !== undefined) replace(key, next.key);
    if (next.certificate !== undefined) replace(cert, next.certificate);
  };
  write(pair);
  return { env: { MEMBRIDGE_TLS_CERT: cert, MEMBRIDGE_TLS_KEY: key }, write };
}

/** Serves HTTPS on a free port of 127.0.0.1. */
export async function serveTls(
  { certificate: cert, key }: MadeCertificate,
  listener: RequestListener,
): Promise<{ url: string; use(pair: MadeCertificate): void; stop(): Promise<void> }> {
  const server = createServer({ cert, key }, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    use: (next) => server.setSecureContext({ cert: next.certificate, key: next.key }),
    stop: async () => {
      server.close().closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** Starts a control plane with a certificate of its own; its `call` trusts the pin alone. */
export async function startTlsPlane(
  { env }: PairFiles,
  pin: string,
  options: NonNullable<Parameters<typeof startTestPlane>[0]> = {},
): Promise<TestPlane> {
  const test = await startTestPlane({ ...options, env: { ...env, ...options.env } });
  const server = serverAt(test.plane.url, { pin });
  const call: TestPlane['call'] = async (
    _method,
    path,
    { headers = { 'X-Runtime-API-Key': RUNTIME_KEY }, body } = {},
  ) => {
    const { text, ...answer } = await ask(server, path, { headers, body, timeoutMs: 30_000 });
    return { ...answer, body: JSON.parse(text) as Answer['body'] };
  };
  return { ...test, call };
}
