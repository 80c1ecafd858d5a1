import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';
import type { Membership } from '../../contract/memory/membership.ts';
import type { NodeCertificate } from '../../contract/nodes/nodes.ts';
import { canonicalJson } from './canonical-json.ts';

/** A node's Ed25519 key pair. */
export interface NodeKey {
  readonly privateKey: KeyObject;
  /** SPKI DER in base64. */
  readonly publicKey: string;
  /** The first 16 hex digits of SHA-256 over the public key's DER. */
  readonly keyId: string;
}

/** Makes a new key pair; `pem` is what to store (0600). */
export function generateNodeKey(): { key: NodeKey; pem: string } {
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return { key: loadNodeKey(pem), pem };
}

/**
 * Loads a stored key pair.
 * @throws Error when the PEM is not an Ed25519 private key
 */
export function loadNodeKey(pem: string): NodeKey {
  const privateKey = createPrivateKey(pem);
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error('the node key is not an Ed25519 key');
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return { privateKey, publicKey: der.toString('base64'), keyId: keyIdOf(der) };
}

/** Returns the id of a public key: the first 16 hex digits of SHA-256 over its SPKI DER. */
export function keyIdOf(der: Buffer): string {
  return createHash('sha256').update(der).digest('hex').slice(0, 16);
}

/**
 * Returns the key object of a public key in base64 SPKI DER.
 * @throws Error when it is not an Ed25519 key
 */
export function parsePublicKey(base64: string): KeyObject {
  const key = createPublicKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'spki' });
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('the public key is not an Ed25519 key');
  return key;
}

export function signBytes(key: NodeKey, bytes: Buffer): string {
  return sign(null, bytes, key.privateKey).toString('base64');
}

export function verifyBytes(key: KeyObject, bytes: Buffer, signature: string): boolean {
  return verify(null, bytes, key, Buffer.from(signature, 'base64'));
}

/** Returns the bytes of a certificate that the control plane signs. */
function certificateText(certificate: Omit<NodeCertificate, 'signature'>): Buffer {
  const { format, node, key_id, public_key, issued_at } = certificate;
  return Buffer.from([format, node, key_id, public_key, String(issued_at)].join('\n'), 'utf8');
}

/**
 * Certifies a node's public key with the control plane's private key.
 * @param publicKey Ed25519, SPKI DER in base64
 * @param issuedAt epoch milliseconds
 * @throws Error when `publicKey` is not such a key
 */
export function signCertificate(
  subject: { node: string; publicKey: string; issuedAt: number },
  controlKey: KeyObject,
): NodeCertificate {
  const der = parsePublicKey(subject.publicKey).export({ type: 'spki', format: 'der' });
  const certificate = {
    format: 'membridge-certificate/1' as const,
    node: subject.node,
    key_id: keyIdOf(der),
    public_key: der.toString('base64'),
    issued_at: subject.issuedAt,
  };
  const signature = sign(null, certificateText(certificate), controlKey).toString('base64');
  return { ...certificate, signature };
}

/** Returns whether the control plane signed a certificate, and whether its key id matches its key. */
export function isValidCertificate(certificate: NodeCertificate, controlKey: KeyObject): boolean {
  return (
    keyIdOf(Buffer.from(certificate.public_key, 'base64')) === certificate.key_id &&
    verifyBytes(controlKey, certificateText(certificate), certificate.signature)
  );
}

/** Returns the signed bytes: everything except the signature. */
function membershipText({ signature: _signature, ...body }: Omit<Membership, 'signature'>): Buffer {
  return Buffer.from(`membridge-membership/1\n${canonicalJson(body)}`, 'utf8');
}

/** Signs the control plane's list of members. */
export function signMembership(body: Omit<Membership, 'signature'>, controlKey: KeyObject): Membership {
  return {
    ...body,
    signature: sign(null, membershipText(body), controlKey).toString('base64'),
  } as Membership;
}

/**
 * Returns whether the control plane signed the membership.
 * @param controlPublicKey SPKI DER in base64
 */
export function isValidMembership(membership: Membership, controlPublicKey: string): boolean {
  return verifyBytes(parsePublicKey(controlPublicKey), membershipText(membership), membership.signature);
}
