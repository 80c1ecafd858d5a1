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
import { publicKeyOf } from '../format/signing.ts';
import { objectionTo } from '../space/membership.ts';
import { trustIn } from '../space/trust.ts';

/** Segments that are fetched at the same time, and staged before they are merged together. */
export const STAGED_TOGETHER = 4;

/** What a fetch found. */
export interface Fetched {
  segments: number;
  /** Peers whose segments could not all be used, with the reason; the others went on. */
  problems: { node: string; problem: string }[];
}

/**
 * Fetches, verifies and stages the segments that this node has not got. One listing of heads/ tells whether there are
 * any; heads are hints, so `full` lists every segment instead, of the space's older names too, and puts back what of this
 * node's own the store has lost. A node whose objects cannot be had stops nobody else.
 * @param onStaged called when some segments are staged, so that they can be applied before the next are fetched
 * @throws MembridgeError store_unavailable or store_refused when nothing at all could be had; what was staged stays
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

/** Fetches what lies under one canonical id: the space's own, or one that it had before. */
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
    if (trustIn(config, node) === 'ignore') continue;
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
      // The head of a former incarnation, until there is something to tell.
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

/** Fetches one node's segments in order; returns what stopped it, or null. */
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
  // A gap ends one chain. What follows is not fetched to learn that, but where two machines wrote as one node, the other's
  // chain goes on beside it.
  const refused = new Set<string>();
  const refusedAt = new Set<string>();
  const usedAt = new Set<string>();
  const isRefused = (name: SegmentName): boolean => refused.has(segmentName(name));
  const refuse = (name: SegmentName): void => {
    refused.add(segmentName(name));
    refusedAt.add(placeOf(name));
  };

  // The next segments are fetched while the present ones are merged.
  const ahead = new Map<SegmentName, Promise<Buffer | null>>();
  const get = (index: number): Promise<Buffer | null> => {
    const [name, ...later] = names.slice(index, index + STAGED_TOGETHER);
    if (name === undefined) throw new Error(`no segment ${index} is listed`);
    for (const each of [name, ...later]) {
      if (ahead.has(each)) continue;
      const bytes = store.get(segmentKey(cid, each));
      // Without this, a failed fetch that nobody awaits would end the process.
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
    const isDoubtful = refusedAt.has(placeOf(previous)) && !usedAt.has(placeOf(previous));
    if (isDoubtful && ledger.coverage.filedAt(space.id, previous).every(isRefused)) {
      refuse(name);
      continue;
    }
    const bytes = await get(index);
    if (bytes === null) return `segment ${name.seq} is listed but not there`;
    let prevSha: string;
    try {
      prevSha = await verifyFetched(session, cid, name, bytes, name.modified);
    } catch (error) {
      if (error instanceof MembridgeError) throw error;
      // That says nothing against the segment, so nobody is asked to heal it; it is fetched again at the next sync.
      if (error instanceof KeysUnreadable) return error.message;
      problem = `segment ${name.seq} was not used: ${errorMessage(error)}`;
      ledger.inbox.markDamaged(space.id, name, errorMessage(error), session.now());
      usedAt.add(placeOf(name));
      continue;
    }
    if (name.seq > 1) {
      const before = { ...previous, hash: nameHash(prevSha) };
      // One that was filed as damaged may have been refused since.
      const known =
        !isRefused(before) &&
        (listed.has(segmentName(before)) ||
          ledger.inbox.hasPlace(space.id, before) ||
          ledger.coverage.includes(space.id, before));
      if (!known) {
        problem = `segment ${name.seq} is there but the one before it is not`;
        refuse(name);
        continue;
      }
    } else if (prevSha !== FIRST_PREV_SHA) {
      problem = `segment 1 of epoch ${name.epoch} names a predecessor`;
      refuse(name);
      continue;
    }
    usedAt.add(placeOf(name));
    ledger.atomically(() => ledger.inbox.stage(space.id, name, bytes, session.now(), name.modified));
    fetched.segments += 1;
    // Our own name on a segment we do not have: the ledger was rolled back or this machine is a copy of another. A new
    // incarnation keeps the two histories apart.
    if (node === identity.node && name.epoch === ledger.spaces.get(space.cid).epoch) {
      ledger.spaces.beginEpoch(space.cid, session.now());
    }
    if (fetched.segments % STAGED_TOGETHER === 0) await onStaged();
  }
  return problem;
}

/** Where a segment lies in its node's log: two machines that are copies of one may each have one there. */
const placeOf = ({ epoch, seq }: SegmentName): string => `${epoch}/${seq}`;

/** Whether a listed segment is to be fetched: not here yet, and not one of ours that a lost answer left in the outbox. */
function isFresh({ ledger, identity }: SyncSession, space: LedgerSpace, name: SegmentName): boolean {
  if (name.node === identity.node && ledger.outbox.has(space.id, name.epoch, name.seq)) return false;
  return !ledger.inbox.has(space.id, name);
}

/** Every segment of the space by node, in order. */
export async function listAll(
  { store }: Pick<SyncSession, 'store'>,
  cid: string,
): Promise<Map<string, ListedSegment[]>> {
  return Map.groupBy(parseListed(cid, await store.list(segmentsPrefix(cid))), (name) => name.node);
}

/** A node's segments that may be new, in order. */
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
  // A head that moved without later segments: a fork, a new epoch of a clock that went back, or a damaged one healed.
  return await list('');
}

/**
 * Puts back what the store has lost of this node's own: its head and certificate at the next push; its memories, when a
 * segment that was sent is gone, by sending everything it holds again under a new incarnation.
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
  const lost = ledger.inbox.own(space.id, identity.node).some((name) => !held.has(segmentName(name)));
  ledger.atomically(() => {
    if (lost) {
      ledger.forgetSpace(space.id);
      ledger.spaces.beginEpoch(cid, session.now());
    } else if (space.seq > 0 && !heads.has(identity.node)) {
      ledger.spaces.setHeadEtag(space.id, '');
    }
  });
  const published = await readKeys(store, cid, identity.node, identity.controlPublicKey);
  // Lost or rotten: what peers verify this node's segments with is not there.
  if (published.certificates.length === 0) forgetCertificate(ledger, cid);
  if (!lost) {
    await publishCertificate(session, cid);
    await writeHead(session, ledger.spaces.get(cid));
  }
}

/**
 * What a node's segments are verified with makes no sense as it lies in the store. An error of what lies there, not of the
 * store: no other node's objects are the harder to have for it.
 */
class KeysUnreadable extends Error {
  override readonly name = 'KeysUnreadable';

  constructor(node: string) {
    super(`the published keys of node ${node} cannot be read; its next sync writes them anew`);
  }
}

/**
 * Judges a fetched segment by itself.
 * @param stored when the store took it, by the store's clock, epoch ms
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
  verifySegment(segment, cid, publicKeyOf(certificate.public_key));
  const objection = objectionTo(session.membership, {
    cid,
    node: name.node,
    keyId: header.key_id,
    isSealed: header.seal !== undefined,
    at: stored,
  });
  if (objection !== null) throw new Error(objection);
  return header.prev_sha;
}
