import { MembridgeError } from '../../contract/errors.ts';
import { findNodeInSpace, findOutputLimit, isBlobNamed } from '../../db/queries/node-store-facts.ts';
import type { Deps } from '../deps.ts';
import { mayList, mayTouch, type StoreFacts, type StoreRequest, type StoreVerdict } from './may-touch.ts';
import { parseObjectKey, spaceOfKey, type ObjectKind } from './object-kind.ts';

type FactDeps = Pick<Deps, 'db' | 'now'>;

/** An allowed request, and the facts that allowed it. */
export interface AllowedRequest {
  readonly kind: ObjectKind;
  readonly facts: StoreFacts;
}

/**
 * Allows a node's request for one object, or refuses it.
 * @throws MembridgeError bad_request for an invalid key; forbidden with the reason; database_unavailable
 */
export async function allowObject(
  node: string,
  request: StoreRequest,
  deps: FactDeps,
): Promise<AllowedRequest> {
  const kind = parseObjectKey(request.key);
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  const facts = await readFacts(node, kind, isRead, deps);
  return { kind: requireAllowed(mayTouch(facts, request)), facts };
}

/**
 * Allows a node's request for a list, or refuses it.
 * @throws MembridgeError as for allowObject
 */
export async function allowList(
  node: string,
  { prefix, startAfter }: { prefix: string; startAfter: string },
  deps: FactDeps,
): Promise<void> {
  const cid = spaceOfKey(prefix);
  const facts = await readFacts(node, cid === null ? null : { kind: 'space', cid }, true, deps);
  requireAllowed(mayList(facts, prefix, startAfter));
}

function requireAllowed(verdict: StoreVerdict): ObjectKind {
  if (verdict.allowed) return verdict.kind;
  throw new MembridgeError(verdict.code, verdict.reason);
}

/** Reads the facts that the rule needs for one kind of object, and no others. */
async function readFacts(
  node: string,
  kind: ObjectKind | null,
  isRead: boolean,
  { db, now }: FactDeps,
): Promise<StoreFacts> {
  const nothing: StoreFacts = {
    node,
    spaces: new Set(),
    primaryOf: new Map(),
    outputBytes: 0,
    namedBlobs: new Set(),
  };
  if (kind === null || kind.kind === 'probe') return nothing;
  if (kind.kind === 'blob') {
    const { sha256 } = kind;
    if (!isRead) return { ...nothing, outputBytes: await findOutputLimit(db, { node }) };
    return { ...nothing, namedBlobs: new Set((await isBlobNamed(db, { node, sha256 })) ? [sha256] : []) };
  }
  const { takesPart, primaryEpoch } = await findNodeInSpace(db, { node, cid: kind.cid, now: now() });
  return {
    ...nothing,
    spaces: new Set(takesPart ? [kind.cid] : []),
    primaryOf: new Map(primaryEpoch === null ? [] : [[kind.cid, primaryEpoch]]),
  };
}
