import { useSyncExternalStore } from 'react';
import { serverNow } from './clock.ts';

export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'signed-out';

interface Live {
  readonly state: LiveState;
  /** When the page was last known to be up to date, by the server's clock. */
  readonly freshAt: number | null;
}

let live: Live = { state: 'connecting', freshAt: null };
const listeners = new Set<() => void>();

/** Changes the state of the live connection. Leaving `live` records the moment, which is the age of the data. */
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

/** Returns the state of the live connection, for the light in the top bar. */
export function useLive(): Live {
  return useSyncExternalStore(subscribe, () => live);
}
