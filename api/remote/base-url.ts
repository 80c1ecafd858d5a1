import { MembridgeError } from '../../contract/errors.ts';

/**
 * Parses the address of a control plane: http or https, a host, and perhaps a path that a proxy in front of it wants.
 * @returns it without a trailing slash, or null when it is something else or holds a user name, a query or a fragment
 */
export function parseBaseUrl(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const { protocol, username, password, search, hash, origin, pathname } = new URL(text);
  const extra = username + password + search + hash;
  if ((protocol !== 'http:' && protocol !== 'https:') || extra !== '') return null;
  return `${origin}${pathname}`.replace(/\/+$/, '');
}

/**
 * The address of a path below a base, made of segments that each stay one: an id cannot lead to another path.
 * @throws MembridgeError bad_request naming the segment that is empty, `.`, `..`, or has a slash or a control character in it
 */
export function joinSegments(base: string, segments: readonly string[]): string {
  const encoded = segments.map((segment) => {
    // Encoding leaves "." and ".." as they are, and servers differ in what an encoded slash means.
    if (/^\.{0,2}$|[/\\\p{Cc}]/u.test(segment) || !segment.isWellFormed()) {
      throw new MembridgeError('bad_request', `${JSON.stringify(segment)} cannot be part of a path.`);
    }
    return encodeURIComponent(segment);
  });
  return [base, ...encoded].join('/');
}
