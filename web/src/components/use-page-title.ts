import { useEffect } from 'react';

/** Sets the title of the browser's tab. */
export function usePageTitle(page: string): void {
  useEffect(() => {
    document.title = `${page} · Membridge`;
  }, [page]);
}
