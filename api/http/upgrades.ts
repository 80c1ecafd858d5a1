import { ServerResponse, type IncomingMessage, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** How long the caller of a refused upgrade may take to read the answer, in milliseconds. */
const REFUSAL_MS = 5_000;

/** How long the guards of a request may take, in milliseconds: they look up the key in PostgreSQL. */
const DECIDE_MS = 10_000;

/** What an upgrade request leaves for the route that takes it. */
interface WaitingUpgrade {
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly res: ServerResponse;
  readonly late: NodeJS.Timeout;
}

const waiting = new WeakMap<IncomingMessage, WaitingUpgrade>();

/** Returns whether a request asks for a WebSocket. */
export function isWebSocket({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

/**
 * Answers an upgrade request like a plain one, so that the same guards, keys and limits apply. A route takes the
 * connection with `takeUpgrade`. Every other answer, such as a refusal, is written to the connection, which then
 * ends.
 */
export function answerUpgrade(
  listener: RequestListener,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const res = new ServerResponse(req);
  res.shouldKeepAlive = false;
  socket.on('error', () => socket.destroy());
  // Node's HTTP server passes on the same socket that it read from.
  res.assignSocket(socket as Socket);
  const late = setTimeout(() => socket.destroy(), REFUSAL_MS + DECIDE_MS);
  late.unref();
  socket.once('close', () => clearTimeout(late));
  res.once('finish', () => {
    socket.end();
    setTimeout(() => socket.destroy(), REFUSAL_MS).unref();
  });
  waiting.set(req, { socket, head, res, late });
  listener(req, res);
}

/** Takes the connection of an upgrade request, which then gets no other answer; null for a plain request. */
export function takeUpgrade(req: IncomingMessage): { socket: Duplex; head: Buffer } | null {
  const upgrade = waiting.get(req);
  if (upgrade === undefined) return null;
  waiting.delete(req);
  clearTimeout(upgrade.late);
  upgrade.res.detachSocket(upgrade.socket as Socket);
  return upgrade;
}
