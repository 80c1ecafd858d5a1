import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A fault while a pack is sent. */
export type Trouble =
  | { readonly kind: 'none' }
  /** Sends this many bytes of the pack and then nothing more, with the connection open. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** Sends this many bytes and breaks the connection. */
  | { readonly kind: 'break-off'; readonly afterBytes: number }
  /** Sends each piece of the pack this many milliseconds after the previous one. */
  | { readonly kind: 'slow'; readonly everyMs: number }
  /** Sends this many bytes and ends the answer as if that were all. */
  | { readonly kind: 'half'; readonly afterBytes: number }
  /** Answers everything, or only this method, with a page and 200, as a captive portal does. */
  | { readonly kind: 'page'; readonly method?: 'POST' }
  /** Announces a body of this many bytes instead of a pack, sends some, and breaks off. */
  | { readonly kind: 'announce'; readonly bytes: number }
  /** Redirects every request to another address. */
  | { readonly kind: 'redirect'; readonly to: string };

/** A real git server over HTTP: `git http-backend` behind Node's server. */
export interface GitHttpServer {
  readonly url: string;
  /** The fault from now on. */
  trouble: Trouble;
  /** The credentials of each request with `Authorization`, in plain text. */
  readonly authorizations: string[];
  /** How many requests arrived. */
  readonly requests: number;
  /** Resolves when a pack starts after this call. */
  sending(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Serves the bare repositories of a folder.
 * @param login `user:password` that every request must carry; null: public
 */
export async function startGitHttpServer(folder: string, login: string | null): Promise<GitHttpServer> {
  const waiting: (() => void)[] = [];
  const serving: Serving = {
    folder,
    login,
    trouble: { kind: 'none' },
    authorizations: [],
    requests: 0,
    sends: () => waiting.splice(0).forEach((resolve) => resolve()),
  };
  const server = createServer((request, response) => serve(serving, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get trouble() {
      return serving.trouble;
    },
    set trouble(trouble) {
      serving.trouble = trouble;
    },
    authorizations: serving.authorizations,
    get requests() {
      return serving.requests;
    },
    sending: () => new Promise((resolve) => waiting.push(resolve)),
    stop: () => stop(server),
  };
}

interface Serving {
  readonly folder: string;
  readonly login: string | null;
  trouble: Trouble;
  readonly authorizations: string[];
  requests: number;
  readonly sends: () => void;
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

function serve(serving: Serving, request: IncomingMessage, response: ServerResponse): void {
  const { trouble, login } = serving;
  serving.requests += 1;
  const given = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  const plain = given === undefined ? null : Buffer.from(given, 'base64').toString();
  if (plain !== null) serving.authorizations.push(plain);
  if (trouble.kind === 'redirect') {
    response.writeHead(302, { Location: `${trouble.to}${request.url ?? ''}` }).end();
    return;
  }
  if (trouble.kind === 'page' && (trouble.method ?? request.method) === request.method) {
    response.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>Please sign in</html>');
    return;
  }
  if (trouble.kind === 'announce' && request.method === 'POST') {
    const type = 'application/x-git-upload-pack-result';
    response.writeHead(200, { 'Content-Type': type, 'Content-Length': trouble.bytes });
    response.write('000dpackfile\n', () => response.destroy());
    return;
  }
  if (login !== null && plain !== login) {
    response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="git"' }).end();
    return;
  }
  runBackend(serving, request, response);
}

/** Runs git's backend over CGI (RFC 3875). */
function runBackend(serving: Serving, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const backend = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'] ?? '',
      GIT_PROJECT_ROOT: serving.folder,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REMOTE_ADDR: '127.0.0.1',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  backend.stdin.on('error', () => undefined);
  request.pipe(backend.stdin);
  response.on('close', () => backend.kill());
  void answer(serving, request, backend.stdout, response).catch(() => response.destroy());
}

async function answer(
  serving: Serving,
  request: IncomingMessage,
  output: NodeJS.ReadableStream,
  response: ServerResponse,
): Promise<void> {
  let head = Buffer.alloc(0);
  let sent = 0;
  for await (const piece of output as AsyncIterable<Buffer>) {
    if (response.headersSent) {
      sent += await send(serving, request, response, piece, sent);
      continue;
    }
    head = Buffer.concat([head, piece]);
    const end = head.indexOf('\r\n\r\n');
    if (end === -1) continue;
    const headers = head
      .subarray(0, end)
      .toString()
      .split('\r\n')
      .map((line) => line.split(/: */) as [string, string]);
    const status = headers.find(([name]) => name === 'Status')?.[1] ?? '200';
    response.writeHead(Number.parseInt(status, 10), Object.fromEntries(headers));
    sent += await send(serving, request, response, head.subarray(end + 4), sent);
  }
  response.end();
}

/** Sends the answer. Trouble concerns only packs: earlier requests are answered. */
async function send(
  { trouble, sends }: Serving,
  request: IncomingMessage,
  response: ServerResponse,
  piece: Buffer,
  before: number,
): Promise<number> {
  const isPack = request.method === 'POST' && before + piece.length > 4_096;
  if (!isPack || !('afterBytes' in trouble || trouble.kind === 'slow')) {
    response.write(piece);
    if (isPack) sends();
    return piece.length;
  }
  if (trouble.kind === 'slow') {
    response.write(piece);
    sends();
    await new Promise((resolve) => setTimeout(resolve, trouble.everyMs));
    return piece.length;
  }
  response.write(piece.subarray(0, Math.max(0, trouble.afterBytes - before)));
  sends();
  if (before + piece.length < trouble.afterBytes) return piece.length;
  if (trouble.kind === 'half') response.end();
  if (trouble.kind === 'break-off') response.destroy();
  await new Promise((resolve) => response.once('close', resolve));
  return piece.length;
}
