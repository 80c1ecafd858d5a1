import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { z } from 'zod';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { NodeCertificate } from '../../contract/nodes/nodes.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { certificateKey, certificatesPrefix, headKey } from '../format/layout.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LedgerSpace } from '../ledger/spaces.ts';
import { canonicalJson } from '../format/canonical-json.ts';
import { parseKeys, type KeysObject } from '../format/keys-object.ts';
import type { SyncSession } from '../session.ts';
import { parseSealingPublicKey, type SealingPublicKey } from '../format/sealing.ts';
import { isValidCertificate, parsePublicKey, signBytes, verifyBytes } from '../format/signing.ts';

/** A node's published keys, as far as they were verified. */
export interface PublishedKeys {
  readonly certificates: readonly NodeCertificate[];
  readonly sealing: SealingPublicKey | null;
  /** Whether the object is malformed: only the node itself may replace it. */
  readonly unreadable: boolean;
}

const signedSealingText = (node: string, publicKey: string): Buffer =>
  Buffer.from(`membridge-sealing/1\n${node}\n${publicKey}`, 'utf8');

/**
 * Writes the signed head, the hint by which peers see that there is something to fetch, unless it is up to
 * date.
 * @returns whether it was written; the caller then notifies peers
 */
export async function writeHead(session: SyncSession, space: LedgerSpace): Promise<boolean> {
  const { ledger, store, identity } = session;
  if (space.headEtag !== '' || space.incarnation === null) return false;
  const head = {
    format: 'membridge-head/1',
    node: identity.node,
    epoch: space.incarnation,
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

/** Publishes this node's keys where peers look for them, and keeps the certificates of its former keys. */
export async function publishCertificate(session: SyncSession, cid: string): Promise<void> {
  const { ledger, store, identity } = session;
  const flag = certificateEntry(cid);
  const [sealing] = identity.sealingKeys;
  const stand = `${identity.certificate.key_id}/${sealing?.keyId ?? ''}`;
  if (ledger.meta(flag) === stand) return;
  const key = certificateKey(cid, identity.node);
  const former = await readKeys(store, cid, identity.node, identity.controlPublicKey);
  const known = former.unreadable ? ledger.inbox.certificatesOf(identity.node) : former.certificates;
  const others = known.filter((certificate) => certificate.key_id !== identity.certificate.key_id);
  const object: KeysObject = {
    format: 'membridge-keys/1',
    certificates: [...others, identity.certificate],
  };
  if (sealing !== undefined) {
    object.sealing = {
      public_key: sealing.publicKey,
      signed_by: identity.key.keyId,
      signature: signBytes(identity.key, signedSealingText(identity.node, sealing.publicKey)),
    };
  }
  await store.put(key, Buffer.from(`${canonicalJson(object)}\n`, 'utf8'));
  ledger.setMeta(flag, stand);
}

const certificateEntry = (cid: string): string => `certificate:${cid}`;

/** Makes the next push publish the certificate again. */
export function forgetCertificate(ledger: Ledger, cid: string): void {
  ledger.setMeta(certificateEntry(cid), '');
}

/**
 * Returns a node's certificates with a valid signature of the control plane, and its sealing key if one of
 * them signed it. Returns none when the object is missing or malformed.
 */
export async function readKeys(
  store: ObjectStore,
  cid: string,
  node: string,
  controlPublicKey: string,
): Promise<PublishedKeys> {
  const bytes = await store.get(certificateKey(cid, node));
  if (bytes === null) return { certificates: [], sealing: null, unreadable: false };
  const control = parsePublicKey(controlPublicKey);
  const object = parseKeys(bytes);
  if (object === null) return { certificates: [], sealing: null, unreadable: true };
  const certificates = object.certificates.filter(
    (certificate) => certificate.node === node && isValidCertificate(certificate, control),
  );
  return { certificates, sealing: verifySealingKey(node, certificates, object.sealing), unreadable: false };
}

/**
 * Certificates already verified against a control plane's key. They are compared as whole text, so a match is
 * still valid.
 */
const verifiedCertificates = new Set<string>();

function isVerified(certificate: NodeCertificate, controlPublicKey: string): boolean {
  const text = canonicalJson([controlPublicKey, certificate]);
  if (verifiedCertificates.has(text)) return true;
  const valid = isValidCertificate(certificate, parsePublicKey(controlPublicKey));
  if (valid) verifiedCertificates.add(text);
  return valid;
}

/** A certificate that a node may sign with, and whether the lookup met a malformed object. */
export interface FoundCertificate {
  readonly certificate: NodeCertificate | null;
  readonly unreadable: boolean;
}

/**
 * Returns the certificate of one of a node's keys: from the ledger, else from the store, and then saves it in
 * the ledger.
 * @throws MembridgeError store_unavailable or store_refused
 */
export async function findCertificate(
  session: Pick<SyncSession, 'ledger' | 'store' | 'identity'>,
  cid: string,
  node: string,
  keyId: string,
): Promise<FoundCertificate> {
  const { ledger, store, identity } = session;
  const kept = ledger.inbox.certificate(node, keyId);
  if (kept !== null && isVerified(kept, identity.controlPublicKey)) {
    return { certificate: kept, unreadable: false };
  }
  const { certificates, unreadable } = await readKeys(store, cid, node, identity.controlPublicKey);
  const certificate = certificates.find(({ key_id: id }) => id === keyId) ?? null;
  if (certificate !== null) ledger.inbox.addCertificate(certificate);
  return { certificate, unreadable };
}

function verifySealingKey(
  node: string,
  certificates: readonly NodeCertificate[],
  line: KeysObject['sealing'],
): SealingPublicKey | null {
  if (line === undefined) return null;
  const signer = certificates.find((certificate) => certificate.key_id === line.signed_by);
  if (signer === undefined) return null;
  const proven = verifyBytes(
    parsePublicKey(signer.public_key),
    signedSealingText(node, line.public_key),
    line.signature,
  );
  return proven ? parseSealingPublicKey(line.public_key) : null;
}

/** Sealing keys as they were last read, by node, with the ETag of the object that held them. */
const KnownKeys = z.record(z.string(), z.object({ etag: z.string(), key: z.string().nullable() }));

/**
 * Returns whether a node replaced a key. Without this check, anyone who restores an old keys object could
 * make others encrypt for it. A key that the membership does not name yet is newer.
 */
function isGivenUp(membership: SyncSession['membership'], node: string, keyId: string): boolean {
  return membership?.sealing[node]?.slice(1).includes(keyId) === true;
}

/**
 * Returns the keys that a segment of a space is encrypted for: those of members that have published one, and
 * this node's own. Costs one listing, and one read for each key that changed.
 * @returns null where the space is not encrypted
 * @throws MembridgeError store_unavailable or store_refused
 */
export async function recipientsOf(
  session: SyncSession,
  config: SpaceConfig,
): Promise<SealingPublicKey[] | null> {
  if (config.encrypted !== true) return null;
  const { ledger, store, identity } = session;
  const name = `sealing:${config.cid}`;
  const known = KnownKeys.parse(JSON.parse(String(ledger.meta(name) ?? '{}')));
  const fresh: z.infer<typeof KnownKeys> = {};
  for (const { key, etag } of await store.list(certificatesPrefix(config.cid))) {
    const node = basename(key, '.json');
    const before = known[node];
    if (before?.etag === etag && before.key !== null) fresh[node] = before;
    else {
      const { sealing } = await readKeys(store, config.cid, node, identity.controlPublicKey);
      // An object that cannot be read now is read again next time; until then its former key is used.
      if (sealing !== null) fresh[node] = { etag, key: sealing.publicKey };
      else if (before !== undefined) fresh[node] = before;
    }
  }
  const text = JSON.stringify(fresh);
  if (text !== ledger.meta(name)) ledger.setMeta(name, text);
  const members = Object.entries(fresh)
    .filter(([node]) => config.members === undefined || config.members.includes(node))
    .flatMap(([node, { key }]) => (key === null ? [] : [{ node, key: parseSealingPublicKey(key) }]))
    .filter(({ node, key }) => !isGivenUp(session.membership, node, key.keyId))
    .map(({ key }) => key);
  const own = identity.sealingKeys.slice(0, 1).map(({ publicKey }) => parseSealingPublicKey(publicKey));
  return [...new Map([...members, ...own].map((each) => [each.keyId, each])).values()];
}
