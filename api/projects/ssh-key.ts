import { createHash, createPrivateKey, type JsonWebKey } from 'node:crypto';

const OPENSSH_BEGIN = '-----BEGIN OPENSSH PRIVATE KEY-----';
const OPENSSH_MAGIC = 'openssh-key-v1\0';

/**
 * Returns the fingerprint of a private key, as `ssh-keygen -l` prints it: `SHA256:` and the digest of the public
 * half.
 * @param text the key file: OpenSSH's own format, or PEM for RSA and ECDSA
 * @throws Error saying what is wrong with it; it never repeats any part of the key
 */
export function sshKeyFingerprint(text: string): string {
  const blob = text.trimStart().startsWith(OPENSSH_BEGIN) ? publicBlobOfOpenssh(text) : publicBlobOfPem(text);
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** Reads PROTOCOL.key of OpenSSH: magic, cipher, kdf, kdf options, number of keys, then the public half in plain. */
function publicBlobOfOpenssh(text: string): Buffer {
  const body = Buffer.from(text.replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64');
  if (body.subarray(0, OPENSSH_MAGIC.length).toString('latin1') !== OPENSSH_MAGIC)
    throw new Error('is not a whole OpenSSH key');
  let at = OPENSSH_MAGIC.length;
  const next = (): Buffer => {
    if (at + 4 > body.length) throw new Error('is not a whole OpenSSH key');
    const length = body.readUInt32BE(at);
    const bytes = body.subarray(at + 4, at + 4 + length);
    if (bytes.length !== length) throw new Error('is not a whole OpenSSH key');
    at += 4 + length;
    return bytes;
  };
  const cipher = next().toString('latin1');
  next();
  next();
  if (cipher !== 'none') {
    throw new Error(
      'is protected by a passphrase, which nobody could type on a node; use a deploy key without one',
    );
  }
  at += 4;
  return next();
}

function publicBlobOfPem(text: string): Buffer {
  let jwk: JsonWebKey;
  try {
    jwk = createPrivateKey(text).export({ format: 'jwk' });
  } catch {
    throw new Error(
      'is not a private key that ssh reads without a passphrase; make one with: ssh-keygen -t ed25519 -N ""',
    );
  }
  if (jwk.kty === 'RSA')
    return Buffer.concat([encodeText('ssh-rsa'), encodeNumber(jwk.e), encodeNumber(jwk.n)]);
  const curve = { 'P-256': 'nistp256', 'P-384': 'nistp384', 'P-521': 'nistp521' }[jwk.crv ?? ''];
  if (jwk.kty === 'EC' && curve !== undefined) {
    const point = Buffer.concat([Buffer.from([4]), decodeBase64Url(jwk.x), decodeBase64Url(jwk.y)]);
    return Buffer.concat([encodeText(`ecdsa-sha2-${curve}`), encodeText(curve), encodeCounted(point)]);
  }
  throw new Error(
    'is of a kind that ssh does not read in this format; make one with: ssh-keygen -t ed25519 -N ""',
  );
}

const decodeBase64Url = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url');
const encodeText = (text: string): Buffer => encodeCounted(Buffer.from(text, 'latin1'));

function encodeCounted(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Encodes a number by RFC 4251: one whose first bit is set gets a zero byte, so that it is not negative. */
function encodeNumber(text: string | undefined): Buffer {
  const bytes = decodeBase64Url(text);
  return encodeCounted((bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}
