import type { Request, Response } from 'express';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import {
  LEADERSHIP_EPOCH_HEADER,
  NO_OBJECT_HEADER,
  SHA256_HEADER,
  STORE_OBJECTS_PATH,
} from '../../contract/nodes/agent-store.ts';
import { MembridgeError } from '../../contract/errors.ts';
import { findNodeByKey } from '../../db/queries/find-node-by-key.ts';
import { nameHash } from '../../memory/format/layout.ts';
import type { Deps } from '../deps.ts';
import { notFoundError } from '../http/not-found.ts';
import { sha256Hex } from '../auth/secrets.ts';
import { allowObject, type AllowedRequest } from './allow.ts';
import { CheckedBody, type PromisedBody } from './checked-body.ts';
import { maxBytes } from './may-touch.ts';
import { requireOwnKeys } from './own-keys.ts';
import type { Transfer } from './transfers.ts';

/** How long one transfer may take in total, in milliseconds; a mirror may have gigabytes. */
const TOTAL_MS = 300_000;
const MIRROR_TOTAL_MS = 3_600_000;

/** A request about one object, with the authenticated node. */
interface Exchange {
  readonly node: string;
  readonly req: Request;
  readonly res: Response;
}

/** Streams an object to a node; answers HEAD with only its size and ETag. @throws MembridgeError */
export async function sendObject({ node, req, res }: Exchange, deps: Deps): Promise<void> {
  const key = readKey(req);
  const { kind } = await allowObject(node, { method: 'GET', key }, deps);
  const { objects, transfers } = deps.agentStore;
  await transfers.run(transferOf(node, key, kind, { req, deps }), async ({ ending, moved }) => {
    const found = req.method === 'HEAD' ? await objects.stat(key) : await objects.read(key);
    if (found === null) {
      res.set(NO_OBJECT_HEADER, '1');
      throw notFoundError('object', key);
    }
    const { body, size, etag } = found;
    const stop = (): void => void body?.destroy(ending.signal.reason as Error);
    // It may have ended while the store answered.
    if (ending.signal.aborted) return stop();
    res.set({ 'Content-Type': 'application/octet-stream', 'Content-Length': String(size) });
    res.set('ETag', `"${etag}"`);
    if (body === null) return void res.end();
    ending.signal.addEventListener('abort', stop, { once: true });
    body.on('data', (piece: Buffer) => {
      moved();
      deps.metrics.agentStoreBytes.inc({ node, direction: 'down' }, piece.length);
    });
    await pipeline(body, res);
  });
}

/**
 * Stores an object that a node sends. Readers see nothing of it before all of it arrived as announced.
 * @returns the store's ETag
 * @throws MembridgeError bad_request, forbidden, too_large, too_many_requests, unauthorized, store_*
 */
export async function receiveObject(exchange: Exchange, deps: Deps): Promise<string> {
  try {
    return await receive(exchange, deps);
  } catch (error) {
    discardRest(exchange);
    throw error;
  }
}

/** Deletes an object of a node. @throws MembridgeError bad_request, forbidden, store_* */
export async function removeObject({ node, req }: Exchange, deps: Deps): Promise<void> {
  const key = readKey(req);
  await allowObject(node, { method: 'DELETE', key, epoch: readLeadershipEpoch(req) }, deps);
  await deps.agentStore.objects.remove(key);
}

async function receive({ node, req, res }: Exchange, deps: Deps): Promise<string> {
  const key = readKey(req);
  const allowed = await allowObject(node, { method: 'PUT', key, epoch: readLeadershipEpoch(req) }, deps);
  const promised = readPromisedBody(req);
  requireFittingBody(key, promised, allowed);
  const { objects, transfers } = deps.agentStore;
  return await transfers.run(
    transferOf(node, key, allowed.kind, { req, deps }),
    async ({ ending, moved }) => {
      const checked = new CheckedBody(promised, (bytes) => {
        moved();
        deps.metrics.agentStoreBytes.inc({ node, direction: 'up' }, bytes);
      });
      const stop = (error: unknown): void => void checked.destroy(error as Error);
      ending.signal.addEventListener('abort', () => stop(ending.signal.reason), { once: true });
      // Not with pipeline: it would close the connection when the store refuses, and the node could not read why.
      req.once('error', stop);
      res.once('close', () => {
        if (!res.writableFinished)
          ending.abort(new MembridgeError('store_unavailable', `${node} went away.`));
      });
      req.pipe(checked);
      if (allowed.kind.kind !== 'keys') return await objects.write(key, checked, promised);
      const bytes = await buffer(checked);
      await requireOwnKeys(node, bytes, deps);
      return await objects.write(key, Readable.from([bytes]), promised);
    },
  );
}

/** Refuses a body that is too large for its kind, or whose digest differs from the one in its key. */
function requireFittingBody(
  key: string,
  { size, sha256 }: PromisedBody,
  { kind, facts }: AllowedRequest,
): void {
  const max = maxBytes(kind, facts);
  if (size > max) {
    throw new MembridgeError('too_large', `${key} may have ${max} bytes at most; the body has ${size}.`);
  }
  const isNamed =
    kind.kind === 'blob' ? kind.sha256 === sha256 : kind.kind !== 'segment' || kind.hash === nameHash(sha256);
  if (isNamed) return;
  throw new MembridgeError('bad_request', `${key} names another digest than the body has (${sha256}).`);
}

/** Returns the key of a request, from the path as it was sent: a decoded one could hide a slash. */
function readKey({ url }: Request): string {
  const path = url.split('?', 1)[0] ?? '';
  return path.startsWith(STORE_OBJECTS_PATH) ? path.slice(STORE_OBJECTS_PATH.length) : '';
}

/** Returns what a request announces about its body. @throws MembridgeError bad_request when something is missing */
function readPromisedBody(req: Request): PromisedBody {
  const length = req.get('Content-Length') ?? '';
  if (!/^\d{1,15}$/.test(length)) {
    throw new MembridgeError(
      'bad_request',
      'An upload needs a Content-Length: its size must be known before it begins.',
    );
  }
  const sha256 = req.get(SHA256_HEADER) ?? '';
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    throw new MembridgeError(
      'bad_request',
      `An upload needs ${SHA256_HEADER}: the SHA-256 of its body in lower-case hex.`,
    );
  }
  return { size: Number(length), sha256 };
}

function readLeadershipEpoch(req: Request): number | null {
  const given = req.get(LEADERSHIP_EPOCH_HEADER);
  return given !== undefined && /^\d{1,15}$/.test(given) ? Number(given) : null;
}

function transferOf(
  node: string,
  key: string,
  { kind }: AllowedRequest['kind'],
  { req, deps }: { req: Request; deps: Pick<Deps, 'db'> },
): Transfer {
  const keyHash = sha256Hex(req.get('X-MEMBRIDGE-AGENT') ?? '');
  return {
    node,
    key,
    totalMs: kind === 'mirror-database' ? MIRROR_TOTAL_MS : TOTAL_MS,
    isStillAllowed: async () => (await findNodeByKey(deps.db, { keyHash })) === node,
  };
}

/** Discards the rest of a refused body, so that its sender can read why. api/http/body-time.ts limits the time. */
function discardRest({ req, res }: Exchange): void {
  if (req.complete) return;
  req.unpipe();
  req.resume();
  // Where the sender asked for it, Node would close the connection right after the answer, and the sender would lose
  // the answer.
  const { shouldKeepAlive } = res;
  res.shouldKeepAlive = true;
  if (!shouldKeepAlive) req.once('close', () => void req.socket.end());
}
