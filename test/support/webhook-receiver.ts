import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A POST that a receiver accepted. */
interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** An HTTP server that accepts webhooks, and answers as configured. */
export interface WebhookReceiver {
  readonly url: string;
  readonly port: number;
  /** Returns the POSTs to a path, in order. */
  received(path: string): Received[];
  /** Sets the answers to a path, in order. The last one repeats; without any, the answer is 204. */
  answer(path: string, ...statuses: (number | 'silence')[]): void;
  stop(): Promise<void>;
}

/** Starts a receiver on 127.0.0.1. */
export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const all: Received[] = [];
  const answers = new Map<string, (number | 'silence')[]>();
  const server = createServer((req, res) => {
    const pieces: Buffer[] = [];
    req.on('data', (piece: Buffer) => pieces.push(piece));
    req.on('end', () => {
      const path = req.url ?? '';
      all.push({ path, headers: req.headers, body: Buffer.concat(pieces).toString() });
      const told = answers.get(path) ?? [];
      const status = (told.length > 1 ? told.shift() : told[0]) ?? 204;
      if (status === 'silence') return;
      if (status >= 300 && status < 400) res.setHeader('Location', '/elsewhere');
      res.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    received: (path) => all.filter((each) => each.path === path),
    answer: (path, ...statuses) => void answers.set(path, statuses),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
