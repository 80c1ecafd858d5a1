import { withBasePath } from '../../api/base-path.ts';

let taken: string | null = null;

/**
 * Returns the key of a sign-in link, `/signin#key=…`.
 * @returns null when the fragment holds none
 */
export function readKeyInFragment(fragment: string): string | null {
  const value = /^#key=(.+)$/.exec(fragment)?.[1];
  if (value === undefined) return null;
  try {
    return decodeURIComponent(value);
  } catch {
    // A key with a bare "%" was not encoded: it is used as it is.
    return value;
  }
}

/** Removes the key from the address immediately; then the browser's history does not hold it either. */
export function takeKeyFromAddress(): void {
  const address = withBasePath('/signin');
  if (window.location.pathname !== address) return;
  const key = readKeyInFragment(window.location.hash);
  if (key === null) return;
  taken = key;
  window.history.replaceState(window.history.state, '', `${address}${window.location.search}`);
}

/** Returns the key that was removed from the address, once. */
export function consumeTakenKey(): string | null {
  const key = taken;
  taken = null;
  return key;
}
