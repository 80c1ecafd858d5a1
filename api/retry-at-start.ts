import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Starting } from './http/starting.ts';
import { MembridgeError, errorMessage } from '../contract/errors.ts';

/** How long a part may be absent at start, in milliseconds. */
const PATIENCE_MS = 60_000;
const PAUSE_MS = 2_000;

/**
 * Repeats something that needs another server while that is worth it: machines that boot together come up in any
 * order.
 * @param part the part and the setting with its address: "PostgreSQL (DATABASE_URL)"
 * @param starting receives what the process waits for, and why
 * @throws Error naming the part, after 60 s; immediately when another try cannot help
 */
export async function retryAtStart<T>(
  part: string,
  { logger, starting }: { logger: Logger; starting: Starting },
  work: () => Promise<T>,
): Promise<T> {
  starting.waitFor(part);
  const giveUpAt = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const hopeless = error instanceof MembridgeError && !error.retryable;
      if (hopeless || Date.now() + PAUSE_MS > giveUpAt) {
        throw new Error(`${part} cannot be used: ${errorMessage(error)}`, { cause: error });
      }
      starting.waitFor(part, errorMessage(error));
      logger.warn({ reason: errorMessage(error) }, `waiting for ${part}`);
      await sleep(PAUSE_MS);
    }
  }
}
