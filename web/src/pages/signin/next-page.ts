const HOME = '/membridge';

/**
 * Returns the page to open after signing in: the requested one, if it is one of ours.
 * @param from a path with its query, from the address and so untrusted
 */
export function nextPage(from: string | undefined): string {
  // "//host" and "/\host" are other sites to a browser.
  if (from === undefined || !/^\/(?![/\\])/.test(from) || /^\/(signin)?([?#]|$)/.test(from)) return HOME;
  return from;
}
