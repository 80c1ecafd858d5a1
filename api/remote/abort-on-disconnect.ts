import type { Response } from 'express';

/** Makes a signal that aborts when the caller of a request disconnects before the answer. */
export function abortOnDisconnect(res: Response): AbortSignal {
  const gone = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) gone.abort(new Error('the caller disconnected'));
  });
  return gone.signal;
}
