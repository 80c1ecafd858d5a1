import { basename } from 'node:path';
import { errorMessage } from '../contract/errors.ts';
import {
  headPrefix,
  nameHash,
  parseSegmentKey,
  segmentKey,
  segmentPrefix,
  type SegmentName,
} from './layout.ts';
import type { LedgerSpace } from './ledger/spaces.ts';
import { readCertificates } from './push.ts';
import { FIRST_PREV_SHA, splitSegment, verifySegment } from './segment.ts';
import type { SyncSession } from './session.ts';
import { certificateIsValid, publicKeyOf } from './signing.ts';

/** What a fetch found. */
export interface Fetched {
  segments: number;
  /** Peers whose segments could not all be used, with the reason; the others went on. */
  problems: { node: string; problem: string }[];
}

/**
 * Fetches, verifies and stages the segments that this node has not got. One listing of heads/ tells whether there are
 * any; heads are hints, so `full` lists every segment instead.
 * @param onStaged called after each staged segment, so that it can be applied before the next is fetched
 * @throws MembridgeError store_unavailable or store_refused; what was staged stays
 */
export async function fetchSegments(
  session: SyncSession,
  cid: string,
  full: boolean,
  onStaged: () => Promise<void>,
): Promise<Fetched> {
  const { ledger, store, identity } = session;
  const fetched: Fetched = { segments: 0, problems: [] };
  const heads = await store.list(headPrefix(cid));
  for (const head of heads) {
    session.signal.throwIfAborted();
    const node = basename(head.key);
    const space = ledger.spaces.get(cid);
    const seen = node === identity.node ? space.headEtag : ledger.inbox.headEtag(space.id, node);
    if (seen === head.etag && !full) continue;
    const problem = await fetchFrom(session, space, node, full, fetched, onStaged);
    if (problem !== null) fetched.problems.push({ node, problem });
    else if (node !== identity.node) ledger.inbox.setHeadEtag(space.id, node, head.etag);
  }
  return fetched;
}

/** Fetches one node's segments in order; returns what stopped it, or null. */
async function fetchFrom(
  session: SyncSession,
  space: LedgerSpace,
  node: string,
  full: boolean,
  fetched: Fetched,
  onStaged: () => Promise<void>,
): Promise<string | null> {
  const { ledger, store, identity } = session;
  const names = await listNew(session, space, node, full);
  const listed = new Set(names.map((name) => `${name.epoch}/${name.seq}/${name.hash}`));
  let damaged: string | null = null;

  for (const name of names) {
    session.signal.throwIfAborted();
    const bytes = await store.get(segmentKey(space.cid, name));
    if (bytes === null) return `segment ${name.seq} is listed but not there`;
    let prevSha: string;
    try {
      prevSha = await verify(session, space, name, bytes);
    } catch (error) {
      damaged = `segment ${name.seq} was not used: ${errorMessage(error)}`;
      ledger.inbox.markDamaged(space.id, name, errorMessage(error), session.now());
      continue;
    }
    if (name.seq > 1) {
      const before = nameHash(prevSha);
      const known =
        listed.has(`${name.epoch}/${name.seq - 1}/${before}`) ||
        ledger.inbox.hasPlace(space.id, node, name.epoch, name.seq - 1, before);
      if (!known) return `segment ${name.seq} is there but the one before it is not`;
    } else if (prevSha !== FIRST_PREV_SHA) {
      return `segment 1 of epoch ${name.epoch} names a predecessor`;
    }
    ledger.atomically(() => ledger.inbox.stage(space.id, name, bytes, session.now()));
    fetched.segments += 1;
    // Our own name on a segment we do not have: the ledger was rolled back or this machine is a copy of another. A new
    // incarnation keeps the two histories apart.
    if (node === identity.node && name.epoch === space.epoch) {
      ledger.spaces.beginEpoch(space.cid, session.now());
    }
    await onStaged();
  }
  return damaged;
}

/** Names of a node's segments that are not in the ledger, in order. */
async function listNew(
  session: SyncSession,
  space: LedgerSpace,
  node: string,
  full: boolean,
): Promise<SegmentName[]> {
  const { ledger, store } = session;
  const prefix = segmentPrefix(space.cid, node);
  const last = ledger.inbox.last(space.id, node);
  const fresh = async (startAfter: string): Promise<SegmentName[]> =>
    (await store.list(prefix, startAfter))
      .map((object) => parseSegmentKey(space.cid, object.key))
      .filter((name) => name !== null)
      .filter((name) => !ledger.inbox.has(space.id, name));
  if (!full && last !== null) {
    const later = await fresh(segmentKey(space.cid, last));
    if (later.length > 0) return later;
  }
  // A head that moved without later segments: a fork, a new epoch of a clock that went back, or a damaged one healed.
  return await fresh('');
}

/** @returns prev_sha of the segment. @throws Error when it does not verify */
async function verify(
  session: SyncSession,
  space: LedgerSpace,
  name: SegmentName,
  bytes: Buffer,
): Promise<string> {
  const { ledger, store, identity } = session;
  const { header } = splitSegment(bytes);
  let certificate = ledger.inbox.certificate(name.node, header.key_id);
  if (certificate === null || !certificateIsValid(certificate, publicKeyOf(identity.controlPublicKey))) {
    const all = await readCertificates(store, space.cid, name.node, identity.controlPublicKey);
    certificate = all.find((each) => each.key_id === header.key_id) ?? null;
    if (certificate === null) throw new Error(`no valid certificate of key ${header.key_id} is published`);
    ledger.inbox.addCertificate(certificate);
  }
  verifySegment(bytes, { cid: space.cid, name }, publicKeyOf(certificate.public_key));
  return header.prev_sha;
}
