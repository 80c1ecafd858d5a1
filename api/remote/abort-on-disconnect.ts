import type { Response } from 'express';

/** Aborts when the caller of a request goes away before it was answered. */
export function abortOnDisconnect(res: Response): AbortSignal {
  const gone = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) gone.abort(new Error('the caller went away'));
  });
  return gone.signal;
}
