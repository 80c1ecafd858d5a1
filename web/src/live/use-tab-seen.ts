import { useEffect, useState } from 'react';

/** How long a tab may be hidden before it closes its streams, in milliseconds. */
const UNSEEN_AFTER_MS = 5_000;

/**
 * Returns whether this tab is visible, or was a moment ago. A browser opens six connections to a server over
 * HTTP/1.1, and each stream holds one. So six tabs in the background would leave none for the one in front.
 */
export function useTabSeen(): boolean {
  const [isSeen, setSeen] = useState(true);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      clearTimeout(timer);
      if (document.hidden) timer = setTimeout(() => setSeen(false), UNSEEN_AFTER_MS);
      else setSeen(true);
    };
    look();
    document.addEventListener('visibilitychange', look);
    return () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, []);
  return isSeen;
}
