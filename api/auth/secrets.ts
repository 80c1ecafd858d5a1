import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** SHA-256 of a text, in hex: how keys, tokens and cookies are stored. */
export function sha256Hex(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

/** 32 random bytes in base64url: a key, a token, or a cookie. */
export function randomSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** Whether two texts are equal, in time that tells nothing of either, their lengths included: digests are compared. */
export function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest();
  return timingSafeEqual(digest(given), digest(expected));
}
