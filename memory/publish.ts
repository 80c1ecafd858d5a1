import { createHash } from 'node:crypto';
import { z } from 'zod';
import { MembridgeError } from '../contract/errors.ts';
import { NodeCertificate } from '../contract/nodes.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { certificateKey, headKey } from './layout.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { LedgerSpace } from './ledger/spaces.ts';
import { canonicalJson } from './canonical-json.ts';
import type { SyncSession } from './session.ts';
import { certificateIsValid, publicKeyOf, signBytes } from './signing.ts';

/** `keys/<node>.json`: every certificate a node ever had, so that old segments stay verifiable. */
const KeysObject = z.strictObject({
  format: z.literal('membridge-keys/1'),
  certificates: z.array(NodeCertificate),
});

/**
 * Writes the signed hint by which peers see that there is something to fetch, unless it says so already.
 * @returns whether it was written: peers are then to be told
 */
export async function writeHead(session: SyncSession, space: LedgerSpace): Promise<boolean> {
  const { ledger, store, identity } = session;
  if (space.headEtag !== '' || space.epoch === null) return false;
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
  return true;
}

/** Puts this node's certificate where peers look for it, keeping the ones of its former keys. */
export async function publishCertificate(session: SyncSession, cid: string): Promise<void> {
  const { ledger, store, identity } = session;
  const flag = certificateFlag(cid);
  if (ledger.meta(flag) === identity.certificate.key_id) return;
  const key = certificateKey(cid, identity.node);
  const former = await readCertificates(store, cid, identity.node, identity.controlPublicKey);
  const others = former.filter((certificate) => certificate.key_id !== identity.certificate.key_id);
  const object = { format: 'membridge-keys/1', certificates: [...others, identity.certificate] };
  await store.put(key, Buffer.from(`${canonicalJson(object)}\n`, 'utf8'));
  ledger.setMeta(flag, identity.certificate.key_id);
}

const certificateFlag = (cid: string): string => `certificate:${cid}`;

/** Has the next push publish the certificate again. */
export function forgetCertificate(ledger: Ledger, cid: string): void {
  ledger.setMeta(certificateFlag(cid), '');
}

/**
 * The certificates of a node that the control plane really signed; none when the object is missing.
 * @throws MembridgeError store_refused when the object is there but unreadable: it must not be overwritten
 */
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
  } catch (cause) {
    throw new MembridgeError('store_refused', `The published certificates of node ${node} cannot be read.`, {
      cause,
    });
  }
}
