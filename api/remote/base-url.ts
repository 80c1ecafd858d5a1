import { MembridgeError } from '../../contract/errors.ts';

/**
 * Parses the address of a control plane: http or https, a host, and perhaps a path that a proxy in front of it needs.
 * @returns it without a final slash, or null for anything else, or with a user name, a query or a fragment
 */
export function parseBaseUrl(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const { protocol, username, password, search, hash, origin, pathname } = new URL(text);
  const extra = username + password + search + hash;
  if ((protocol !== 'http:' && protocol !== 'https:') || extra !== '') return null;
  return `${origin}${pathname}`.replace(/\/+$/, '');
}

/**
 * Returns the address of a path below a base. Each segment stays one segment, so that an id cannot lead to another
 * path.
 * @throws MembridgeError bad_request naming a segment that is empty, `.`, `..`, or holds a slash or a control
 * character
 */
export function joinSegments(base: string, segments: readonly string[]): string {
  const encoded = segments.map((segment) => {
    // Encoding does not change "." and "..", and servers disagree about the meaning of an encoded slash.
    if (/^\.{0,2}$|[/\\\p{Cc}]/u.test(segment) || !segment.isWellFormed()) {
      throw new MembridgeError('bad_request', `${JSON.stringify(segment)} cannot be part of a path.`);
    }
    return encodeURIComponent(segment);
  });
  return [base, ...encoded].join('/');
}
