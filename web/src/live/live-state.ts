import { useSyncExternalStore } from 'react';
import { serverNow } from './clock.ts';

export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'signed-out';

interface Live {
  readonly state: LiveState;
  /** When the page last knew that it was up to date, on the server's clock. */
  readonly freshAt: number | null;
}

let live: Live = { state: 'connecting', freshAt: null };
const listeners = new Set<() => void>();

/** Changes the state of the live connection. Leaving `live` notes the moment: the data is as old as that. */
export function setLiveState(state: LiveState): void {
  if (state === live.state) return;
  const freshAt = state === 'live' || live.state === 'live' ? serverNow() : live.freshAt;
  live = { state, freshAt };
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The state of the live connection, for the light in the top bar. */
export function useLive(): Live {
  return useSyncExternalStore(subscribe, () => live);
}
