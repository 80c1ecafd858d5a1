import type { IncomingMessage, ServerResponse } from 'node:http';
import { STORE_OBJECTS_PATH } from '../../contract/nodes/agent-store.ts';

/** How long things may take, in milliseconds. */
const TIMES = {
  /** The body of a request: Node's own default for a server. */
  bodyMs: 300_000,
  /** The body of an upload of an object: a mirror may have gigabytes. */
  uploadMs: 3_600_000,
  /** What is left of a body once the request was answered. It is thrown away for a moment, so that its sender gets to read why. */
  restMs: 2_000,
};

/**
 * Closes the connection of a request whose body takes too long. Node's `requestTimeout` knows no exception for uploads of objects, which
 * api/store/transfers.ts limits besides.
 */
export function limitBodyTime(req: IncomingMessage, res: ServerResponse, times: typeof TIMES = TIMES): void {
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
    // After an answer the rest of the body may still come.
    if (!res.writableFinished) clearTimeout(timer);
  });
}
