import { createHash } from 'node:crypto';
import { z } from 'zod';
import { NodeCertificate } from '../contract/nodes.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { collectChunk } from './emit.ts';
import { certificateKey, headKey, nameHash, segmentKey, type SegmentName } from './layout.ts';
import type { LedgerSpace } from './ledger/spaces.ts';
import { canonicalJson } from './operation.ts';
import { sealSegment } from './segment.ts';
import type { SyncSession } from './session.ts';
import { certificateIsValid, publicKeyOf, signBytes } from './signing.ts';

/** `keys/<node>.json`: every certificate a node ever had, so that old segments stay verifiable. */
export const KeysObject = z.strictObject({
  format: z.literal('membridge-keys/1'),
  certificates: z.array(NodeCertificate),
});

/** What a push moved. */
export interface Pushed {
  rows: number;
  segments: number;
}

/**
 * Sends what the space has not got: seal the exact bytes into the ledger, put them, then the head, then strike them off.
 * A crash at any point sends the same bytes under the same name again.
 * @throws MembridgeError store_unavailable or store_refused; nothing is lost, the next push goes on
 */
export async function sendUnsent(
  session: SyncSession,
  cid: string,
  progress: (text: string) => void,
): Promise<Pushed> {
  const { ledger, identity, now } = session;
  const pushed: Pushed = { rows: 0, segments: 0 };
  if (ledger.spaces.get(cid).epoch === null) ledger.spaces.beginEpoch(cid, now());
  await publishCertificate(session, cid);
  for (;;) {
    await flushOutbox(session, ledger.spaces.get(cid), pushed, progress);
    session.signal.throwIfAborted();
    const space = ledger.spaces.get(cid);
    const chunk = collectChunk({ ...session, node: identity.node }, space);
    if (chunk.lines.length === 0) {
      ledger.atomically(chunk.note);
      if (!chunk.more) break;
      continue;
    }
    const epoch = space.epoch;
    if (epoch === null) throw new Error(`space ${cid} lost its epoch in mid-push`);
    const seq = space.seq + 1;
    const place = {
      space: cid,
      node: identity.node,
      epoch,
      seq,
      prevSha: space.chain,
      schema: session.schema.label,
    };
    const sealed = sealSegment(place, chunk.lines, identity.key);
    ledger.atomically(() => {
      ledger.outbox.add(space.id, {
        epoch,
        seq,
        sha: sealed.sha,
        operations: chunk.lines.length,
        bytes: sealed.bytes,
      });
      ledger.spaces.advance(space.id, seq, sealed.sha);
      chunk.note();
    });
  }
  await writeHead(session, ledger.spaces.get(cid));
  return pushed;
}

async function flushOutbox(
  session: SyncSession,
  space: LedgerSpace,
  pushed: Pushed,
  progress: (text: string) => void,
): Promise<void> {
  const { ledger, store, identity, now } = session;
  for (let entry = ledger.outbox.next(space.id); entry !== null; entry = ledger.outbox.next(space.id)) {
    session.signal.throwIfAborted();
    const { epoch, seq, sha, bytes, operations } = entry;
    const name: SegmentName = { node: identity.node, epoch, seq, hash: nameHash(sha) };
    await store.put(segmentKey(space.cid, name), bytes);
    ledger.atomically(() => {
      ledger.inbox.recordOwn(space.id, name, now());
      ledger.outbox.remove(space.id, epoch, seq);
      // An empty ETag: the head is behind and must be written, now or after a crash.
      ledger.spaces.setHeadEtag(space.id, '');
    });
    pushed.rows += operations;
    pushed.segments += 1;
    progress(`sent ${pushed.rows} rows`);
  }
}

/** Writes the signed hint by which peers see that there is something to fetch, unless it says so already. */
async function writeHead(session: SyncSession, space: LedgerSpace): Promise<void> {
  const { ledger, store, identity } = session;
  if (space.headEtag !== '' || space.epoch === null) return;
  const head = {
    format: 'membridge-head/1',
    node: identity.node,
    epoch: space.epoch,
    seq: space.seq,
    chain: space.chain,
    applied: ledger.inbox.applied(space.id),
  };
  const line = canonicalJson(head);
  const signature = signBytes(identity.key, Buffer.from(line, 'utf8'));
  const bytes = Buffer.from(`${line}\n${signature}\n`, 'utf8');
  await store.put(headKey(space.cid, identity.node), bytes);
  ledger.spaces.setHeadEtag(space.id, createHash('md5').update(bytes).digest('hex'));
}

/** Puts this node's certificate where peers look for it, keeping the ones of its former keys. */
async function publishCertificate(session: SyncSession, cid: string): Promise<void> {
  const { ledger, store, identity } = session;
  const flag = `certificate:${cid}`;
  if (ledger.meta(flag) === identity.certificate.key_id) return;
  const key = certificateKey(cid, identity.node);
  const former = await readCertificates(store, cid, identity.node, identity.controlPublicKey);
  const others = former.filter((certificate) => certificate.key_id !== identity.certificate.key_id);
  const object = { format: 'membridge-keys/1', certificates: [...others, identity.certificate] };
  await store.put(key, Buffer.from(`${canonicalJson(object)}\n`, 'utf8'));
  ledger.setMeta(flag, identity.certificate.key_id);
}

/** The certificates of a node that the control plane really signed; none when the object is missing or unreadable. */
export async function readCertificates(
  store: ObjectStore,
  cid: string,
  node: string,
  controlPublicKey: string,
): Promise<NodeCertificate[]> {
  const bytes = await store.get(certificateKey(cid, node));
  if (bytes === null) return [];
  const control = publicKeyOf(controlPublicKey);
  try {
    const { certificates } = KeysObject.parse(JSON.parse(bytes.toString('utf8')));
    return certificates.filter(
      (certificate) => certificate.node === node && certificateIsValid(certificate, control),
    );
  } catch {
    return [];
  }
}
