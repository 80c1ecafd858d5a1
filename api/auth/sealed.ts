import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, type KeyObject } from 'node:crypto';

/** The purpose of the derived key; the number changes with the format. */
const KEY_PURPOSE = 'membridge-sealed/1';
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts a secret for the database, so that a dump of it reveals nothing. Uses AES-256-GCM under a key that
 * HKDF-SHA-256 derives from the control plane's signing key, with a new random nonce each time.
 * @param key the control plane's signing key (an Ed25519 private key)
 * @param context where the secret belongs, as `setting:admin_key`. It opens only there, so sealed texts cannot be
 * swapped
 * @returns printable text for a text column
 */
export function seal(key: KeyObject, text: string, context: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, deriveKey(key), nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(context, 'utf8'));
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return `${KEY_PURPOSE}:${Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')}`;
}

/**
 * Opens what `seal` returned.
 * @throws Error when it was sealed under another signing key or for another context, or was changed; the error never
 * holds the secret
 */
export function unseal(key: KeyObject, sealed: string, context: string): string {
  const prefix = `${KEY_PURPOSE}:`;
  const bytes = Buffer.from(sealed.slice(prefix.length), 'base64url');
  if (!sealed.startsWith(prefix) || bytes.length < NONCE_BYTES + TAG_BYTES) {
    throw new Error(`The stored secret of ${context} is not in the form ${KEY_PURPOSE}; set it again.`);
  }
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const tag = bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
  const opened = createDecipheriv(CIPHER, deriveKey(key), nonce, { authTagLength: TAG_BYTES });
  opened.setAAD(Buffer.from(context, 'utf8'));
  opened.setAuthTag(tag);
  try {
    const text = [opened.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), opened.final()];
    return Buffer.concat(text).toString('utf8');
  } catch (cause) {
    throw new Error(
      `The stored secret of ${context} cannot be opened: it was sealed under another MEMBRIDGE_SIGNING_KEY, or changed. Set it again.`,
      { cause },
    );
  }
}

/**
 * Derives the key. The salt is empty: the signing key is random enough, and a salt would have to be stored beside
 * every sealed text.
 */
function deriveKey(key: KeyObject): Buffer {
  const secret = key.export({ format: 'der', type: 'pkcs8' });
  return Buffer.from(hkdfSync('sha256', secret, '', KEY_PURPOSE, 32));
}
