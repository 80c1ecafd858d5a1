/**
 * Pins: the SHA-256 of a certificate authority's public key (SubjectPublicKeyInfo), written as curl writes pins.
 * The key outlives its certificates, so a pin stays valid when a certificate is renewed.
 */
import { createHash, type X509Certificate } from 'node:crypto';

const PIN = /^sha256\/\/[A-Za-z0-9+/]{43}=$/;

/** How a pin looks, for messages about one that does not. */
export const PIN_FORM = 'must look like sha256// and 44 characters of base64, as the server prints it';

/** Returns whether a text has the form of a pin. */
export function isPin(text: string): boolean {
  return PIN.test(text);
}

/** Returns the pin of a certificate's public key. */
export function pinOf(certificate: X509Certificate): string {
  const key = certificate.publicKey.export({ format: 'der', type: 'spki' });
  return `sha256//${createHash('sha256').update(key).digest('base64')}`;
}

/** Returns whether a certificate is one that its own key signed: the end of a chain. */
export function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}
