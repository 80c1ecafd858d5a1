import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { z } from 'zod';
import { keyIdOf } from './signing.ts';

/**
 * A public key that segments are sealed for: X25519, as its DER in base64 and the first 16 hex digits of that
 * DER's SHA-256.
 */
export interface SealingPublicKey {
  readonly keyId: string;
  readonly publicKey: string;
}

/** A sealing key of this node, including the private part. */
export interface SealingKey extends SealingPublicKey {
  readonly privateKey: KeyObject;
}

/**
 * How a body was sealed: AES-256-GCM with a fresh key, which is wrapped for every recipient by X25519 with
 * one ephemeral key, HKDF-SHA-256 and AES-256-GCM. The segment's signature covers all of it.
 */
export const SealLine = z.strictObject({
  suite: z.literal('x25519-hkdf-sha256-aes256gcm'),
  ephemeral: z.base64(),
  /** The wrapped key and its tag, by the recipient's key id. */
  keys: z.record(z.string().regex(/^[0-9a-f]{16}$/), z.base64()),
});
type SealLine = z.infer<typeof SealLine>;

const HKDF_INFO = 'membridge-seal/1';
const TAG_BYTES = 16;
const IV_BYTES = 12;

/** Makes a new sealing key; `pem` is what to store (0600). */
export function generateSealingKey(): { key: SealingKey; pem: string } {
  const { privateKey } = generateKeyPairSync('x25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return { key: loadSealingKey(pem), pem };
}

/**
 * Loads a stored sealing key.
 * @throws Error when the PEM is not an X25519 private key
 */
export function loadSealingKey(pem: string): SealingKey {
  const privateKey = createPrivateKey(pem);
  if (privateKey.asymmetricKeyType !== 'x25519') throw new Error('the sealing key is not an X25519 key');
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return { privateKey, publicKey: der.toString('base64'), keyId: keyIdOf(der) };
}

/**
 * Parses a published key.
 * @throws Error when it is not an X25519 key
 */
export function parseSealingPublicKey(base64: string): SealingPublicKey {
  const der = Buffer.from(base64, 'base64');
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  if (key.asymmetricKeyType !== 'x25519') throw new Error('the sealing key is not an X25519 key');
  return { keyId: keyIdOf(der), publicKey: base64 };
}

const loadPublicKey = (base64: string): KeyObject =>
  createPublicKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'spki' });

/** Derives the key that wraps for one recipient. Each is used once, so its nonce may be zero. */
function deriveWrappingKey(secret: Buffer, ephemeral: string, recipient: string): Buffer {
  const salt = Buffer.concat([Buffer.from(ephemeral, 'base64'), Buffer.from(recipient, 'base64')]);
  return Buffer.from(hkdfSync('sha256', secret, salt, HKDF_INFO, 32));
}

function encrypt(key: Buffer, iv: Buffer, bytes: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  return Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Buffer, iv: Buffer, bytes: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, iv);
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  return Buffer.concat([decipher.update(bytes.subarray(0, bytes.length - TAG_BYTES)), decipher.final()]);
}

const ZERO_IV = Buffer.alloc(IV_BYTES);

/**
 * Encrypts a body for recipients.
 * @returns the sealed body, and the header line for opening it
 */
export function seal(
  body: Buffer,
  recipients: readonly SealingPublicKey[],
): { body: Buffer; line: SealLine } {
  const key = randomBytes(32);
  const iv = randomBytes(IV_BYTES);
  const pair = generateKeyPairSync('x25519');
  const ephemeral = pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  const keys = recipients.map(({ keyId, publicKey }) => {
    const secret = diffieHellman({ privateKey: pair.privateKey, publicKey: loadPublicKey(publicKey) });
    const wrapped = encrypt(deriveWrappingKey(secret, ephemeral, publicKey), ZERO_IV, key);
    return [keyId, wrapped.toString('base64')] as const;
  });
  const line: SealLine = {
    suite: 'x25519-hkdf-sha256-aes256gcm',
    ephemeral,
    keys: Object.fromEntries(keys),
  };
  return { body: Buffer.concat([iv, encrypt(key, iv, body)]), line };
}

/**
 * Decrypts a sealed body with one of this node's keys, current or former.
 * @throws Error when it was sealed for none of them, or was changed
 */
export function unseal(body: Buffer, line: SealLine, keys: readonly SealingKey[]): Buffer {
  for (const { keyId, publicKey, privateKey } of keys) {
    const wrapped = line.keys[keyId];
    if (wrapped === undefined) continue;
    const secret = diffieHellman({ privateKey, publicKey: loadPublicKey(line.ephemeral) });
    const key = decrypt(
      deriveWrappingKey(secret, line.ephemeral, publicKey),
      ZERO_IV,
      Buffer.from(wrapped, 'base64'),
    );
    return decrypt(key, body.subarray(0, IV_BYTES), body.subarray(IV_BYTES));
  }
  throw new Error('it is encrypted, and not for any key of this node');
}
