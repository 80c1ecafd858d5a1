/** The private certificate authority of `npm start -- --listen`, and the server's certificate, in files. */
import { X509Certificate, createPrivateKey, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { pinOf } from '../../transport/pin.ts';
import { issueCertificate, makeAuthority, makeKey, type MadeCertificate, type Validity } from './x509.ts';

const DAY_MS = 24 * 60 * 60_000;
/** How long a certificate is valid, and how long before its end it is renewed, in days. Browsers refuse much longer ones. */
const SERVER = { days: 90, renewBefore: 30 };
const AUTHORITY = { days: 3_650, renewBefore: 365 };

/** The server's certificate in files, and the pin of its authority. */
export interface PrivateCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly pin: string;
  /** Whether a new certificate was written. */
  readonly isNew: boolean;
}

/**
 * Keeps an authority and a certificate for a machine in a folder. The authority's key stays for good, and so does its pin. A
 * certificate is renewed some time before its end, or when it lacks a name.
 * @param folder below the data folder; keys in it are readable only by their owner
 * @param names of the machine: names and IP addresses
 * @param now epoch milliseconds
 * @throws Error naming a file that cannot be read
 */
export async function keepPrivateCertificate(
  folder: string,
  names: readonly string[],
  now = Date.now(),
): Promise<PrivateCertificate> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const authority = await keepAuthority(folder, now);
  const [certFile, keyFile] = [join(folder, 'server.pem'), join(folder, 'server.key')];
  const key = keepKey(keyFile);
  const kept = readCertificate(certFile);
  const pin = pinOf(new X509Certificate(authority.certificate));
  if (
    kept !== null &&
    isUsable(kept, key, names, now) &&
    kept.checkIssued(new X509Certificate(authority.certificate))
  ) {
    return { certFile, keyFile, pin, isNew: false };
  }
  const own = await issueCertificate(authority, key, names, validity(now, SERVER.days));
  // Clients find the authority of the pin in the chain.
  write(certFile, `${own}${authority.certificate}`, 0o644);
  return { certFile, keyFile, pin, isNew: true };
}

async function keepAuthority(folder: string, now: number): Promise<MadeCertificate> {
  const [keyFile, certFile] = [join(folder, 'ca.key'), join(folder, 'ca.pem')];
  const key = keepKey(keyFile);
  const kept = readCertificate(certFile);
  if (
    kept !== null &&
    isLasting(kept, now, AUTHORITY.renewBefore) &&
    kept.checkPrivateKey(createPrivateKey(key))
  ) {
    return { key, certificate: kept.toString() };
  }
  // A renewed certificate keeps its name, so that certificates which the key signed before still fit.
  const name = kept === null ? newName() : /CN=(.*)/.exec(kept.subject)?.[1];
  const certificate = await makeAuthority(key, name ?? newName(), validity(now, AUTHORITY.days));
  write(certFile, certificate, 0o644);
  return { key, certificate };
}

/** Two installations on one machine must not have authorities of one name: browsers would mix them up. */
const newName = (): string => `Membridge CA ${randomBytes(4).toString('hex')} of ${hostname()}`;

/** Reads a key, or makes one. @throws Error naming a file that holds no key */
function keepKey(file: string): string {
  if (!existsSync(file)) write(file, makeKey(), 0o600);
  const text = readFileSync(file, 'utf8');
  try {
    createPrivateKey(text);
    return text;
  } catch (cause) {
    throw new Error(
      `${file} holds no key that can be read. Restore it from a backup; or remove it, and every other machine must get the new pin.`,
      { cause },
    );
  }
}

/** Reads the first certificate of a file; null where none can be read, and a new one is made. */
function readCertificate(file: string): X509Certificate | null {
  try {
    return new X509Certificate(readFileSync(file));
  } catch {
    return null;
  }
}

function isUsable(kept: X509Certificate, key: string, names: readonly string[], now: number): boolean {
  return (
    isLasting(kept, now, SERVER.renewBefore) &&
    kept.checkPrivateKey(createPrivateKey(key)) &&
    names.every((name) => (isIP(name) === 0 ? kept.checkHost(name) : kept.checkIP(name)) !== undefined)
  );
}

const isLasting = (kept: X509Certificate, now: number, days: number): boolean =>
  kept.validFromDate.getTime() <= now && kept.validToDate.getTime() - now > days * DAY_MS;

/** A machine whose clock is a day behind accepts a new certificate too. */
const validity = (now: number, days: number): Validity => ({
  from: new Date(now - DAY_MS),
  until: new Date(now + days * DAY_MS),
});

/** Writes a whole file or none. */
function write(file: string, text: string, mode: number): void {
  writeFileSync(`${file}.new`, text, { mode });
  renameSync(`${file}.new`, file);
}
