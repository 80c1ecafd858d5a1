import { notifyDone } from '../components/notify.ts';

/** Says in this tab that the window was reloaded for an update, and when. */
const KEY = 'membridge-reloaded-at';
/** A second reload within this time would not help either, in milliseconds. */
const AGAIN_AFTER_MS = 60_000;

/** Whether the window should be reloaded: the server answers, and it was not reloaded just now. Offline, a reload would lose everything. */
export async function isReloadDue(): Promise<boolean> {
  if (Date.now() - Number(sessionStorage.getItem(KEY) ?? 0) < AGAIN_AFTER_MS) return false;
  const answer = await fetch(window.location.href, { method: 'HEAD', cache: 'no-store' }).catch(() => null);
  return answer?.ok === true;
}

/** Reloads the window; `sayReloaded` says why once it is there again. */
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
    'Membridge was updated, and this window still had files of the version before.',
  );
}
