import { basename } from 'node:path';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import {
  headPrefix,
  nameHash,
  parseListed,
  segmentKey,
  segmentName,
  segmentPrefix,
  segmentsPrefix,
  type ListedSegment,
  type SegmentName,
} from '../format/layout.ts';
import type { LedgerSpace } from '../ledger/spaces.ts';
import {
  findCertificate,
  forgetCertificate,
  publishCertificate,
  readKeys,
  writeHead,
} from '../push/publish.ts';
import { FIRST_PREV_SHA, openSegment, verifySegment } from '../format/segment.ts';
import type { SyncSession } from '../session.ts';
import { parsePublicKey } from '../format/signing.ts';
import { findObjection } from '../space/membership.ts';
import { trustOf } from '../space/trust.ts';

/** Segments that are fetched concurrently, and staged before they are merged together. */
export const MAX_STAGED_SEGMENTS = 4;

/** The result of a fetch. */
export interface Fetched {
  segments: number;
  /** Peers with segments that could not be used, with the reason; the other peers are not affected. */
  problems: { node: string; problem: string }[];
}

/**
 * Fetches, verifies and stages the segments that this node lacks. One listing of heads/ shows whether there
 * are any. Heads are only hints, so `full` lists every segment instead, including those under the space's
 * former ids. It also restores objects of this node that the store lost. A node whose objects cannot be read
 * does not block the others.
 * @param onStaged called when some segments are staged, so that they can be applied before the next ones are
 * fetched
 * @throws MembridgeError store_unavailable or store_refused when nothing could be fetched; staged segments
 * stay
 */
export async function fetchSegments(
  session: SyncSession,
  config: SpaceConfig,
  full: boolean,
  onStaged: () => Promise<void>,
): Promise<Fetched> {
  const fetched: Fetched = { segments: 0, problems: [] };
  for (const cid of full ? [config.cid, ...(config.aliases ?? [])] : [config.cid]) {
    await fetchFromPrefix(session, config, cid, full, fetched, onStaged);
  }
  return fetched;
}

/** Fetches the segments under one canonical id: the space's current one or a former one. */
async function fetchFromPrefix(
  session: SyncSession,
  config: SpaceConfig,
  cid: string,
  full: boolean,
  fetched: Fetched,
  onStaged: () => Promise<void>,
): Promise<void> {
  const { ledger, store, identity } = session;
  const isOwnPrefix = cid === config.cid;
  const heads = new Map((await store.list(headPrefix(cid))).map((head) => [basename(head.key), head.etag]));
  const everything = full ? await listAll(session, cid) : null;
  if (everything !== null && isOwnPrefix) await healOwn(session, cid, heads, everything);

  let failure: MembridgeError | null = null;
  let tried = 0;
  for (const node of new Set([...heads.keys(), ...(everything?.keys() ?? [])])) {
    session.signal.throwIfAborted();
    if (trustOf(config, node) === 'ignore') continue;
    const space = ledger.spaces.get(config.cid);
    const etag = heads.get(node) ?? '';
    const seen = node === identity.node ? space.headEtag : ledger.inbox.headEtag(space.id, node);
    if (seen === etag && everything === null) continue;
    tried += 1;
    try {
      const names = everything?.get(node) ?? (await listNew(session, space, node));
      const fresh = names.filter((name) => isFresh(session, space, name));
      const problem = await fetchFrom(session, space, { cid, node }, fresh, fetched, onStaged);
      if (problem !== null) fetched.problems.push({ node, problem });
      else if (isOwnPrefix && node !== identity.node) ledger.inbox.setHeadEtag(space.id, node, etag);
      // This is the head of a former incarnation; it stays until this node has something to send.
      else if (isOwnPrefix && space.headEtag === null) ledger.spaces.setHeadEtag(space.id, etag);
    } catch (error) {
      if (!(error instanceof MembridgeError) || !error.code.startsWith('store_')) throw error;
      failure = error;
      fetched.problems.push({ node, problem: error.message });
      tried -= 1;
    }
  }
  if (failure !== null && tried === 0) throw failure;
}

/** Fetches one node's segments in order. Returns what stopped it, or null. */
async function fetchFrom(
  session: SyncSession,
  space: LedgerSpace,
  { cid, node }: { cid: string; node: string },
  names: readonly ListedSegment[],
  fetched: Fetched,
  onStaged: () => Promise<void>,
): Promise<string | null> {
  const { ledger, store, identity } = session;
  const listed = new Set(names.map(segmentName));
  let problem: string | null = null;
  // A gap ends one chain, and the segments behind it are not fetched. If two machines wrote as the same node,
  // the other machine's chain continues beside it.
  const refused = new Set<string>();
  const refusedAt = new Set<string>();
  const usedAt = new Set<string>();
  const isRefused = (name: SegmentName): boolean => refused.has(segmentName(name));
  const refuse = (name: SegmentName): void => {
    refused.add(segmentName(name));
    refusedAt.add(positionOf(name));
  };

  // The next segments are fetched while the current ones are merged.
  const ahead = new Map<SegmentName, Promise<Buffer | null>>();
  const get = (index: number): Promise<Buffer | null> => {
    const [name, ...later] = names.slice(index, index + MAX_STAGED_SEGMENTS);
    if (name === undefined) throw new Error(`no segment ${index} is listed`);
    for (const each of [name, ...later]) {
      if (ahead.has(each)) continue;
      const bytes = store.get(segmentKey(cid, each));
      // Without this, a failed fetch that no one awaits would end the process.
      bytes.catch(() => undefined);
      ahead.set(each, bytes);
    }
    const bytes = ahead.get(name);
    ahead.delete(name);
    if (bytes === undefined) throw new Error(`segment ${name.seq} was not asked for`);
    return bytes;
  };

  for (const [index, name] of names.entries()) {
    session.signal.throwIfAborted();
    const previous = { ...name, seq: name.seq - 1 };
    const isDoubtful = refusedAt.has(positionOf(previous)) && !usedAt.has(positionOf(previous));
    if (isDoubtful && ledger.coverage.listSegmentsAt(space.id, previous).every(isRefused)) {
      refuse(name);
      continue;
    }
    const bytes = await get(index);
    if (bytes === null) return `segment ${name.seq} is listed but missing`;
    let prevSha: string;
    try {
      prevSha = await verifyFetched(session, cid, name, bytes, name.modified);
    } catch (error) {
      if (error instanceof MembridgeError) throw error;
      // The keys are at fault, not the segment, so no peer is asked to heal it. The next sync fetches it
      // again.
      if (error instanceof KeysUnreadable) return error.message;
      problem = `segment ${name.seq} was not used: ${errorMessage(error)}`;
      ledger.inbox.markDamaged(space.id, name, errorMessage(error), session.now());
      usedAt.add(positionOf(name));
      continue;
    }
    if (name.seq > 1) {
      const before = { ...previous, hash: nameHash(prevSha) };
      // A segment filed as damaged may have been refused since.
      const known =
        !isRefused(before) &&
        (listed.has(segmentName(before)) ||
          ledger.inbox.hasPlace(space.id, before) ||
          ledger.coverage.includes(space.id, before));
      if (!known) {
        problem = `segment ${name.seq} exists but its predecessor does not`;
        refuse(name);
        continue;
      }
    } else if (prevSha !== FIRST_PREV_SHA) {
      problem = `segment 1 of incarnation ${name.epoch} names a predecessor`;
      refuse(name);
      continue;
    }
    usedAt.add(positionOf(name));
    ledger.atomically(() => ledger.inbox.stage(space.id, name, bytes, session.now(), name.modified));
    fetched.segments += 1;
    // A segment bears this node's name but is not in its ledger: the ledger was rolled back, or this machine
    // is a copy. A new incarnation keeps the two histories apart.
    if (node === identity.node && name.epoch === ledger.spaces.get(space.cid).incarnation) {
      ledger.spaces.beginIncarnation(space.cid, session.now());
    }
    if (fetched.segments % MAX_STAGED_SEGMENTS === 0) await onStaged();
  }
  return problem;
}

/**
 * A segment's place in its node's log. Two machines that are copies of each other may both have a segment
 * there.
 */
const positionOf = ({ epoch, seq }: SegmentName): string => `${epoch}/${seq}`;

/**
 * Returns whether a listed segment must be fetched. A segment in the ledger is here already. So is one of ours
 * that stayed in the outbox because the store's answer was lost.
 */
function isFresh({ ledger, identity }: SyncSession, space: LedgerSpace, name: SegmentName): boolean {
  if (name.node === identity.node && ledger.outbox.has(space.id, name.epoch, name.seq)) return false;
  return !ledger.inbox.has(space.id, name);
}

/** Returns every segment of the space by node, in order. */
export async function listAll(
  { store }: Pick<SyncSession, 'store'>,
  cid: string,
): Promise<Map<string, ListedSegment[]>> {
  return Map.groupBy(parseListed(cid, await store.list(segmentsPrefix(cid))), (name) => name.node);
}

/** Returns a node's segments that may be new, in order. */
async function listNew(session: SyncSession, space: LedgerSpace, node: string): Promise<ListedSegment[]> {
  const { ledger, store } = session;
  const prefix = segmentPrefix(space.cid, node);
  const last = ledger.inbox.last(space.id, node);
  const list = async (startAfter: string): Promise<ListedSegment[]> =>
    parseListed(space.cid, await store.list(prefix, startAfter));
  if (last !== null) {
    const later = await list(segmentKey(space.cid, last));
    if (later.length > 0) return later;
  }
  // The head moved but no later segment exists: a fork, a new incarnation after a clock that went back, or a
  // healed segment.
  return await list('');
}

/**
 * Restores what the store lost of this node. The next push writes head and certificate again; if a sent
 * segment is gone, a new incarnation sends everything again.
 */
async function healOwn(
  session: SyncSession,
  cid: string,
  heads: ReadonlyMap<string, string>,
  everything: ReadonlyMap<string, readonly SegmentName[]>,
): Promise<void> {
  const { ledger, identity, store } = session;
  const space = ledger.spaces.get(cid);
  const held = new Set(everything.get(identity.node)?.map(segmentName));
  const lost = ledger.inbox.listOwn(space.id, identity.node).some((name) => !held.has(segmentName(name)));
  ledger.atomically(() => {
    if (lost) {
      ledger.forgetSpace(space.id);
      ledger.spaces.beginIncarnation(cid, session.now());
    } else if (space.seq > 0 && !heads.has(identity.node)) {
      ledger.spaces.setHeadEtag(space.id, '');
    }
  });
  const published = await readKeys(store, cid, identity.node, identity.controlPublicKey);
  // Lost or damaged: peers cannot verify this node's segments without it.
  if (published.certificates.length === 0) forgetCertificate(ledger, cid);
  if (!lost) {
    await publishCertificate(session, cid);
    await writeHead(session, ledger.spaces.get(cid));
  }
}

/**
 * Thrown when a node's published keys cannot be parsed. The stored object is at fault, not the store, so
 * other nodes' objects are still fetched.
 */
class KeysUnreadable extends Error {
  override readonly name = 'KeysUnreadable';

  constructor(node: string) {
    super(`the published keys of node ${node} cannot be read; its next sync rewrites them`);
  }
}

/**
 * Verifies a fetched segment on its own, without its neighbors.
 * @param stored when the store received it, by the store's clock, epoch milliseconds
 * @returns prev_sha of the segment
 * @throws KeysUnreadable when it cannot be judged, Error when it does not verify; MembridgeError store_*
 */
export async function verifyFetched(
  session: SyncSession,
  cid: string,
  name: SegmentName,
  bytes: Buffer,
  stored: number,
): Promise<string> {
  const segment = openSegment(bytes, name);
  const { header } = segment;
  const { certificate, unreadable } = await findCertificate(session, cid, name.node, header.key_id);
  if (unreadable) throw new KeysUnreadable(name.node);
  if (certificate === null) throw new Error(`no valid certificate of key ${header.key_id} is published`);
  verifySegment(segment, cid, parsePublicKey(certificate.public_key));
  const objection = findObjection(session.membership, {
    cid,
    node: name.node,
    keyId: header.key_id,
    isSealed: header.seal !== undefined,
    at: stored,
  });
  if (objection !== null) throw new Error(objection);
  return header.prev_sha;
}
