import type { IncomingMessage, ServerResponse } from 'node:http';
import { STORE_OBJECTS_PATH } from '../../contract/nodes/agent-store.ts';

/** Time limits, in milliseconds. */
const TIME_LIMITS = {
  /** For a request's body: Node's own default for a server. */
  bodyMs: 300_000,
  /** For the body of an object upload: a mirror may have gigabytes. */
  uploadMs: 3_600_000,
  /**
   * For the rest of a body after the answer. It is discarded for a moment, so that the sender can read why it was
   * refused.
   */
  restMs: 2_000,
};

/**
 * Closes the connection of a request whose body takes too long. Node's `requestTimeout` allows no exception for
 * object uploads, which api/store/transfers.ts limits too.
 */
export function limitBodyTime(
  req: IncomingMessage,
  res: ServerResponse,
  times: typeof TIME_LIMITS = TIME_LIMITS,
): void {
  const isUpload = req.method === 'PUT' && req.url?.startsWith(STORE_OBJECTS_PATH) === true;
  const giveUp = (): void => {
    if (!req.complete) req.socket.destroy();
  };
  let timer = setTimeout(giveUp, isUpload ? times.uploadMs : times.bodyMs);
  timer.unref();
  res.once('finish', () => {
    clearTimeout(timer);
    if (req.complete) return;
    timer = setTimeout(giveUp, times.restMs);
    timer.unref();
  });
  res.once('close', () => {
    // After an answer the rest of the body may still arrive.
    if (!res.writableFinished) clearTimeout(timer);
  });
}
