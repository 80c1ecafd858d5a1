import { request, type IncomingHttpHeaders } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** An answer with its bytes as they came. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

/**
 * Sends a request whose path is sent unchanged: `fetch` would resolve dots and escapes.
 * @param options.pieces the body; `pauseMs` passes between two of them
 * @throws Error when the connection breaks before there is an answer
 */
export async function sendRaw(
  serverUrl: string,
  method: string,
  path: string,
  options: {
    readonly headers?: Record<string, string>;
    readonly pieces?: Iterable<Buffer>;
    readonly pauseMs?: number;
  } = {},
): Promise<RawAnswer> {
  const { hostname, port } = new URL(serverUrl);
  const { headers = {}, pieces = [], pauseMs = 0 } = options;
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const outgoing = request({ hostname, port, method, path, headers, agent: false }, (incoming) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('error', reject);
    incoming.on('end', () => {
      resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, bytes: Buffer.concat(chunks) });
      outgoing.destroy();
    });
  });
  outgoing.on('error', reject);
  let isOver = false;
  const settled = promise
    .catch(() => undefined)
    .finally(() => {
      isOver = true;
    });
  for (const piece of pieces) {
    if (isOver) break;
    if (!outgoing.write(piece)) {
      await Promise.race([new Promise((drained) => outgoing.once('drain', drained)), settled]);
    }
    if (pauseMs > 0) await Promise.race([sleep(pauseMs), settled]);
  }
  if (!isOver) outgoing.end();
  return await promise;
}
