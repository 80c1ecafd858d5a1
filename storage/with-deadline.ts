import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits for work.
 * @throws Error when it takes longer than `ms` milliseconds; the work itself continues
 */
export async function withDeadline<T>(ms: number, work: Promise<T>): Promise<T> {
  const done = new AbortController();
  try {
    return await Promise.race([
      work,
      sleep(ms, undefined, { signal: done.signal }).then(() => {
        throw new Error(`no answer within ${ms / 1_000} s`);
      }),
    ]);
  } finally {
    done.abort();
  }
}
