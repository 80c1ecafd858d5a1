const HOME = '/membridge';

/**
 * Where to go after signing in: the page that was asked for, if it is one of ours.
 * @param from a path with its query, from the address and so from anybody
 */
export function nextPage(from: string | undefined): string {
  // "//host" and "/\host" are other sites to a browser.
  if (from === undefined || !/^\/(?![/\\])/.test(from) || /^\/(signin)?([?#]|$)/.test(from)) return HOME;
  return from;
}
