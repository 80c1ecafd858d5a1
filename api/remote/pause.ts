import { setTimeout as wait } from 'node:timers/promises';

/** Waits, or until the signal aborts: the caller then sees that by itself. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await wait(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}
