import { notifyDone } from '../components/notify.ts';

/** Records in this tab that the window was reloaded for an update, and when. */
const KEY = 'membridge-reloaded-at';
/** A second reload within this time would not help, in milliseconds. */
const AGAIN_AFTER_MS = 60_000;

/**
 * Returns whether to reload the window: the server answers, and there was no recent reload. Offline, a reload would
 * lose everything.
 */
export async function isReloadDue(): Promise<boolean> {
  if (Date.now() - Number(sessionStorage.getItem(KEY) ?? 0) < AGAIN_AFTER_MS) return false;
  const answer = await fetch(window.location.href, { method: 'HEAD', cache: 'no-store' }).catch(() => null);
  return answer?.ok === true;
}

/** Reloads the window; `sayReloaded` explains that afterwards. */
export function reloadForUpdate(): void {
  sessionStorage.setItem(KEY, String(Date.now()));
  sessionStorage.setItem(`${KEY}-said`, 'no');
  window.location.reload();
}

/** After a reload for an update, says that there was one. */
export function sayReloaded(): void {
  if (sessionStorage.getItem(`${KEY}-said`) !== 'no') return;
  sessionStorage.removeItem(`${KEY}-said`);
  notifyDone(
    'The page was reloaded',
    'Membridge was updated, and this window still used files of the former version.',
  );
}
