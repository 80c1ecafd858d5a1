import { notifyDone } from '../components/notify.ts';

/** Records in this tab that the window was reloaded for an update, and when. */
const STORAGE_KEY = 'membridge-reloaded-at';
/** A second reload within this time would not help, in milliseconds. */
const MIN_RELOAD_INTERVAL_MS = 60_000;

/**
 * Returns whether to reload the window: the server answers, and there was no recent reload. Offline, a reload would
 * lose everything.
 */
export async function isReloadDue(): Promise<boolean> {
  if (Date.now() - Number(sessionStorage.getItem(STORAGE_KEY) ?? 0) < MIN_RELOAD_INTERVAL_MS) return false;
  const answer = await fetch(window.location.href, { method: 'HEAD', cache: 'no-store' }).catch(() => null);
  return answer?.ok === true;
}

/** Reloads the window; `sayReloaded` explains that afterwards. */
export function reloadForUpdate(): void {
  sessionStorage.setItem(STORAGE_KEY, String(Date.now()));
  sessionStorage.setItem(`${STORAGE_KEY}-said`, 'no');
  window.location.reload();
}

/** After a reload for an update, says that there was one. */
export function sayReloaded(): void {
  if (sessionStorage.getItem(`${STORAGE_KEY}-said`) !== 'no') return;
  sessionStorage.removeItem(`${STORAGE_KEY}-said`);
  notifyDone(
    'The page was reloaded',
    'Membridge was updated, and this window still used files of the former version.',
  );
}
