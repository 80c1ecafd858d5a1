import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query';
import type { Session } from '../../contract/http/api.ts';
import { keys } from './api/keys.ts';
import { ApiProblem, isSignedOut } from './api/problem.ts';

/** Any answer 401 means that the session ended: the page's layout sees this and leads to the sign-in page. */
function noteSignedOut(error: unknown): void {
  if (isSignedOut(error)) markSignedOut();
}

/** The page's one Query cache. Errors that cannot pass by themselves are not retried. */
export const cache = new QueryClient({
  queryCache: new QueryCache({ onError: noteSignedOut }),
  mutationCache: new MutationCache({ onError: noteSignedOut }),
  defaultOptions: {
    queries: {
      retry: (failures, error) =>
        failures < 2 && !(error instanceof ApiProblem && error.status in { 401: 1, 404: 1 }),
      refetchOnWindowFocus: false,
    },
    // Offline, a request fails at once and says so. Kept for later, it would be sent when nobody expects it any longer.
    mutations: { networkMode: 'always' },
  },
});

/** Notes in the cache that nobody is signed in. */
export function markSignedOut(): void {
  cache.setQueryData<Session>(keys.session, { signed_in: false, expires_at: null });
}
