import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query';
import type { Session } from '../../contract/http/api.ts';
import { keys } from './api/keys.ts';
import { ApiProblem, isSignedOut } from './api/problem.ts';

/** Handles a 401 answer: the session has ended. The page's layout sees this and opens the sign-in page. */
function noteSignedOut(error: unknown): void {
  if (isSignedOut(error)) markSignedOut();
}

/** The page's only Query cache. It does not retry permanent errors. */
export const cache = new QueryClient({
  queryCache: new QueryCache({ onError: noteSignedOut }),
  mutationCache: new MutationCache({ onError: noteSignedOut }),
  defaultOptions: {
    queries: {
      retry: (failures, error) =>
        failures < 2 && !(error instanceof ApiProblem && error.status in { 401: 1, 404: 1 }),
      refetchOnWindowFocus: false,
    },
    // Offline, a request fails immediately and says so. A stored one would be sent when nobody expects it any longer.
    mutations: { networkMode: 'always' },
  },
});

/** Records in the cache that nobody is signed in. */
export function markSignedOut(): void {
  cache.setQueryData<Session>(keys.session, { signed_in: false, expires_at: null });
}
