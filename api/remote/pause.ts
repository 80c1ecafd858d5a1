import { setTimeout as wait } from 'node:timers/promises';

/** Waits, or returns early when the signal aborts: the caller must check the signal. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await wait(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}
