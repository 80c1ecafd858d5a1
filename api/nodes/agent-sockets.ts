import type { Request } from 'express';
import { MembridgeError } from '../../contract/errors.ts';
import { findNodeAccess } from '../../db/queries/find-node-access.ts';
import type { NodeAccess, Upgrade } from '../../gateway/node-sockets.ts';
import { sha256Hex } from '../auth/secrets.ts';
import type { Deps } from '../deps.ts';
import { takeUpgrade } from '../http/upgrades.ts';

/**
 * Looks up the node that asks for a socket, with the hash of its key.
 * @throws MembridgeError unauthorized when it was removed since its key was checked
 */
export async function requireAccess(
  req: Request,
  { db }: Pick<Deps, 'db'>,
): Promise<NodeAccess & { readonly keyHash: string }> {
  const keyHash = sha256Hex(req.get('X-MEMBRIDGE-AGENT') ?? '');
  const access = (await findNodeAccess(db, { keyHashes: [keyHash] })).get(keyHash);
  if (access === undefined)
    throw new MembridgeError('unauthorized', 'This node was removed; enrol it again.');
  return { ...access, keyHash };
}

/** Takes the connection of a request that must ask for a WebSocket. @throws MembridgeError bad_request */
export function requireUpgrade(req: Request): Upgrade {
  const upgrade = takeUpgrade(req);
  if (upgrade !== null) return { req, ...upgrade };
  throw new MembridgeError(
    'bad_request',
    `${req.path} accepts only WebSockets, and this request asks for none. A proxy between the agent and the control plane removes the header Upgrade: configure it to forward WebSockets.`,
  );
}
