import { createHash, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { MembridgeError } from '../contract/errors.ts';
import type { NodeCertificate } from '../contract/nodes.ts';

/** The public half of a signing key, SPKI DER in base64. */
export function publicKeyText(signingKey: KeyObject): string {
  return createPublicKey(signingKey).export({ format: 'der', type: 'spki' }).toString('base64');
}

/**
 * Signs a node's public key: peers trust a segment when its signature fits such a certificate. The signed text is defined
 * beside NodeCertificate in the contract.
 * @param publicKey Ed25519, SPKI DER in base64
 * @throws MembridgeError bad_request when it is not such a key
 */
export function issueCertificate(
  signingKey: KeyObject,
  input: { node: string; publicKey: string; issuedAt: number },
): NodeCertificate {
  const der = ed25519Der(input.publicKey);
  const public_key = der.toString('base64');
  const key_id = createHash('sha256').update(der).digest('hex').slice(0, 16);
  const text = ['membridge-certificate/1', input.node, key_id, public_key, input.issuedAt].join('\n');
  return {
    format: 'membridge-certificate/1',
    node: input.node,
    key_id,
    public_key,
    issued_at: input.issuedAt,
    signature: sign(null, Buffer.from(text, 'utf8'), signingKey).toString('base64'),
  };
}

function ed25519Der(text: string): Buffer {
  try {
    const key = createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' });
    if (key.asymmetricKeyType === 'ed25519') return key.export({ format: 'der', type: 'spki' });
  } catch {
    // The one message below says it better than the parser does.
  }
  const problem = 'must be an Ed25519 public key, SPKI DER in base64';
  throw new MembridgeError('bad_request', `public_key: ${problem}`, {
    fields: [{ field: 'public_key', problem }],
  });
}
