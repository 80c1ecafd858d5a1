import { withBasePath } from '../../api/base-path.ts';

let taken: string | null = null;

/**
 * The key of a sign-in link, `/signin#key=…`.
 * @returns null when the fragment holds none
 */
export function keyInFragment(fragment: string): string | null {
  const value = /^#key=(.+)$/.exec(fragment)?.[1];
  if (value === undefined) return null;
  try {
    return decodeURIComponent(value);
  } catch {
    // A key with a bare "%" was not encoded: it is meant as it stands.
    return value;
  }
}

/** Moves the key out of the address at once; the entry in the browser's history no longer holds it. */
export function takeKeyFromAddress(): void {
  const address = withBasePath('/signin');
  if (window.location.pathname !== address) return;
  const key = keyInFragment(window.location.hash);
  if (key === null) return;
  taken = key;
  window.history.replaceState(window.history.state, '', `${address}${window.location.search}`);
}

/** Gives the key that was taken from the address, once. */
export function consumeTakenKey(): string | null {
  const key = taken;
  taken = null;
  return key;
}
