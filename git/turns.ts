/** One at a time for each target, in this process. */
const tails = new Map<string, Promise<void>>();

/**
 * Waits for whatever works on the key, then does the work.
 * @param onWait called once when something else works on it
 * @throws the signal's reason when it is aborted while waiting; whatever the work throws
 */
export async function inTurn<T>(
  key: string,
  signal: AbortSignal,
  onWait: () => void,
  work: () => Promise<T>,
): Promise<T> {
  const before = tails.get(key);
  const { promise: done, resolve: finish } = Promise.withResolvers<void>();
  // Whoever comes next waits for this one and for all before it, even if this one gives up.
  const tail = Promise.all([before, done]).then(() => undefined);
  tails.set(key, tail);
  const forget = async (): Promise<void> => {
    await tail;
    if (tails.get(key) === tail) tails.delete(key);
  };
  void forget();
  try {
    if (before !== undefined) {
      onWait();
      await orAborted(before, signal);
    }
    signal.throwIfAborted();
    return await work();
  } finally {
    finish();
  }
}

async function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason as Error);
  signal.throwIfAborted();
  signal.addEventListener('abort', abort, { once: true });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
