import type { Request } from 'express';
import { MembridgeError } from '../../contract/errors.ts';
import { isLoopbackAddress } from '../../contract/nodes/own-host.ts';

/** Headers that a proxy adds to the requests that it forwards. */
const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'] as const;

/**
 * Returns whether a program on this machine sent a request. A proxy forwards requests of other machines, and a
 * browser sets Origin where a page makes the request, so neither counts.
 */
export function isFromThisMachine(request: Request): boolean {
  const address = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
  return (
    isLoopbackAddress(address) &&
    PROXY_HEADERS.every((header) => request.headers[header] === undefined) &&
    request.headers.origin === undefined
  );
}

/**
 * Refuses a request that runs programs, or ends this agent, unless the machine's owner allows it and a program of
 * this machine asks.
 * @throws MembridgeError forbidden, saying how to switch it on
 */
export function requireProcessControl(request: Request, allowed: boolean, what: string): void {
  if (!isFromThisMachine(request)) {
    throw new MembridgeError('forbidden', `${what} is accepted only from this machine, without a proxy.`);
  }
  if (allowed) return;
  throw new MembridgeError(
    'forbidden',
    `${what} is switched off on this node. To switch it on, set MEMBRIDGE_ALLOW_PROCESS_CONTROL=1 in the agent's settings (agent.env) and start the agent again.`,
  );
}
