import { useSyncExternalStore } from 'react';

/** Server clock minus this browser's clock, in milliseconds. */
let offset = 0;
let now = Date.now();
let timer: ReturnType<typeof setInterval> | null = null;
const listeners = new Set<() => void>();

/** Returns the control plane's clock, as well as this browser knows it, in epoch milliseconds. */
export function serverNow(): number {
  return Date.now() + offset;
}

/**
 * Runs a call whose answer carries the server's clock, and stores the difference from this browser's clock. Half of
 * the round trip counts as the answer's age.
 */
export async function readServerClock<T extends { now: number }>(call: () => Promise<T>): Promise<T> {
  const asked = Date.now();
  const answer = await call();
  const answered = Date.now();
  offset = answer.now - (asked + answered) / 2;
  return answer;
}

function tick(): void {
  now = serverNow();
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (timer === null) {
    now = serverNow();
    timer = setInterval(tick, 1_000);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0 && timer !== null) {
      clearInterval(timer);
      timer = null;
    }
  };
}

/** Returns the server's clock, updated once a second by one timer for the whole page. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}
