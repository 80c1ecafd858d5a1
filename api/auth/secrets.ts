import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** Returns SHA-256 of a text, in hex: the form in which keys, tokens and cookies are stored. */
export function sha256Hex(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

/** Returns 32 random bytes in base64url, for a key, a token, or a cookie. */
export function randomSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** Returns whether two texts are equal. It compares digests, so the time reveals nothing, not even their lengths. */
export function isSameSecret(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest();
  return timingSafeEqual(digest(given), digest(expected));
}
