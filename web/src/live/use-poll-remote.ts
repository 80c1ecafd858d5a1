import { useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { keys } from '../api/keys.ts';

/** How often the page asks for the jobs of another control plane, in milliseconds. */
const POLL_MS = 10_000;

/** Requests jobs repeatedly while the tab is visible. No event reports them when the control plane is another process. */
export function usePollRemote(isRemote: boolean): void {
  const cache = useQueryClient();
  useEffect(() => {
    if (!isRemote) return;
    const timer = setInterval(() => {
      if (document.hidden) return;
      void cache.invalidateQueries({ queryKey: keys.allJobs });
    }, POLL_MS);
    return () => clearInterval(timer);
  }, [cache, isRemote]);
}
