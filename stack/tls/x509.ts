/** Makes certificates: an authority, and certificates of servers that it signs. All keys are ECDSA on P-256. */
// The library's parts find each other by it.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
/** The longest common name that X.509 allows, in characters. */
const MAX_NAME_CHARS = 64;

/** A certificate and its key, both in PEM. */
export interface MadeCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** When a certificate is valid. */
export interface Validity {
  readonly from: Date;
  readonly until: Date;
}

/** Makes a private key, PKCS#8 in PEM. */
export function makeKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
}

/** Makes an authority's own certificate. It may sign certificates of servers, and no further authority. */
export async function makeAuthority(key: string, name: string, { from, until }: Validity): Promise<string> {
  const keys = await importKeys(key);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: commonName(name),
    notBefore: from,
    notAfter: until,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return `${made.toString('pem')}\n`;
}

/**
 * Makes a server's certificate.
 * @param key the server's key, in PEM
 * @param names its names and IP addresses; at least one
 * @returns the certificate in PEM, without the authority's
 */
export async function issueCertificate(
  authority: MadeCertificate,
  key: string,
  names: readonly string[],
  { from, until }: Validity,
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const { publicKey } = await importKeys(key);
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: commonName(names[0] ?? ''),
    issuer: issuer.subjectName.toJSON(),
    notBefore: from,
    notAfter: until,
    signingAlgorithm: ALGORITHM,
    publicKey,
    signingKey: (await importKeys(authority.key)).privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
      ),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return `${made.toString('pem')}\n`;
}

async function importKeys(pem: string): Promise<CryptoKeyPair> {
  const key = createPrivateKey(pem);
  const pkcs8 = key.export({ format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const { subtle } = crypto;
  return {
    privateKey: await subtle.importKey('pkcs8', pkcs8, ALGORITHM, true, ['sign']),
    publicKey: await subtle.importKey('spki', spki, ALGORITHM, true, ['verify']),
  };
}

const commonName = (name: string): x509.JsonName => [{ CN: [name.slice(0, MAX_NAME_CHARS)] }];

/** Returns a random serial number in hex, positive as X.509 asks. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
