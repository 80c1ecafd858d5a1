import { createPublicKey, type KeyObject } from 'node:crypto';
import { MembridgeError } from '../../contract/errors.ts';
import type { NodeCertificate } from '../../contract/nodes/nodes.ts';
import { signCertificate } from '../../memory/format/signing.ts';

/** Returns the public half of a signing key, SPKI DER in base64. */
export function publicKeyText(signingKey: KeyObject): string {
  return createPublicKey(signingKey).export({ format: 'der', type: 'spki' }).toString('base64');
}

/**
 * Signs a node's public key. Peers trust a segment when its signature fits such a certificate.
 * @param input.publicKey Ed25519, SPKI DER in base64
 * @throws MembridgeError bad_request when it is not such a key
 */
export function issueCertificate(
  signingKey: KeyObject,
  input: { node: string; publicKey: string; issuedAt: number },
): NodeCertificate {
  try {
    return signCertificate(input, signingKey);
  } catch (cause) {
    const problem = 'must be an Ed25519 public key, SPKI DER in base64';
    throw new MembridgeError('bad_request', `public_key: ${problem}`, {
      cause,
      fields: [{ field: 'public_key', problem }],
    });
  }
}
