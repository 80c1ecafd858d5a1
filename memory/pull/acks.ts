import { hash } from 'node:crypto';
import { basename } from 'node:path';
import { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import { canonicalJson } from '../format/canonical-json.ts';
import { ackKey, acksPrefix, segmentName } from '../format/layout.ts';
import { findCertificate, publishCertificate } from '../push/publish.ts';
import type { SyncSession } from '../session.ts';
import { parsePublicKey, signBytes, verifyBytes } from '../format/signing.ts';

/** Shortest time between two acks of a node, in milliseconds, unless a peer asks for one. */
const ACK_EVERY_MS = 10 * 60_000;

/** An unchanged ack is rewritten after this long, as a sign of life (a day, in milliseconds). */
const SIGN_OF_LIFE_MS = 24 * 3_600_000;

const AckLine = z.object({
  format: z.literal('membridge-ack/1'),
  space: z.string(),
  node: z.string(),
  key_id: z.string(),
  /** Epoch milliseconds. */
  at: z.number().int(),
  /** By node and incarnation: every segment up to this seq was used. */
  applied: z.record(z.string(), z.record(z.string(), z.number().int().nonnegative())),
  /**
   * Segments, as "node/epoch/seq-hash", that could not be used. A node that holds their memories may send
   * them again.
   */
  damaged: z.array(z.string()),
});

/** The segments of a space that a node says it has used. */
export type Ack = z.infer<typeof AckLine>;

const ackEntry = (cid: string): string => `ack:${cid}`;

/**
 * Publishes which segments this node has used, if that changed; collection removes only what every node has
 * used.
 * @param asked write now, regardless of when the last ack was written
 * @returns whether it was written
 * @throws MembridgeError store_unavailable or store_refused
 */
export async function writeAck(session: SyncSession, cid: string, asked: boolean): Promise<boolean> {
  const { ledger, store, identity } = session;
  const now = session.now();
  const { id } = ledger.spaces.get(cid);
  const [writtenAt = '0', before = '', reported = ''] = String(ledger.meta(ackEntry(cid)) ?? '').split(
    ' ',
    3,
  );
  const since = now - Number(writtenAt);
  const damaged = ledger.inbox.listDamagedNames(id).map(segmentName);
  const report = hash('sha256', canonicalJson(damaged));
  // Damage is reported at once. A negative age means that the clock was set back since.
  const isNew = report !== (reported === '' ? hash('sha256', '[]') : reported);
  if (!asked && !isNew && since >= 0 && since < ACK_EVERY_MS) return false;
  const applied: Ack['applied'] = {};
  for (const { node, epoch, seq } of ledger.coverage.listReaches(id)) (applied[node] ??= {})[epoch] = seq;
  const stand = canonicalJson({ applied, damaged });
  const digest = hash('sha256', stand);
  if (!asked && digest === before && since >= 0 && since < SIGN_OF_LIFE_MS) return false;
  const ack: Ack = {
    format: 'membridge-ack/1',
    space: cid,
    node: identity.node,
    key_id: identity.key.keyId,
    at: now,
    applied,
    damaged,
  };
  const line = canonicalJson(ack);
  const signature = signBytes(identity.key, Buffer.from(line, 'utf8'));
  // A node that only reads has published no certificate yet, and peers need one to check the signature.
  await publishCertificate(session, cid);
  await store.put(ackKey(cid, identity.node), Buffer.from(`${line}\n${signature}\n`, 'utf8'));
  ledger.setMeta(ackEntry(cid), `${now} ${digest} ${report}`);
  return true;
}

/**
 * Returns the acks that carry a valid signature of their own node; all others are ignored.
 * @throws MembridgeError store_unavailable or store_refused
 */
export async function readAcks(session: SyncSession, cid: string): Promise<Map<string, Ack>> {
  const { store } = session;
  const acks = new Map<string, Ack>();
  for (const { key } of await store.list(acksPrefix(cid))) {
    const bytes = await store.get(key);
    const ack = bytes === null ? null : await openAck(session, cid, basename(key), bytes);
    if (ack !== null) acks.set(ack.node, ack);
  }
  return acks;
}

async function openAck(session: SyncSession, cid: string, node: string, bytes: Buffer): Promise<Ack | null> {
  const [line = '', signature = ''] = bytes.toString('utf8').split('\n');
  try {
    const ack = AckLine.parse(JSON.parse(line));
    if (ack.node !== node || ack.space !== cid) return null;
    const proven = await isSignedBy(session, cid, ack, line, signature);
    return proven ? ack : null;
  } catch (error) {
    if (error instanceof MembridgeError && error.retryable) throw error;
    return null;
  }
}

/**
 * Returns whether a node signed a text, with a key that the control plane certified.
 * @throws MembridgeError store_*
 */
export async function isSignedBy(
  session: SyncSession,
  cid: string,
  signer: { node: string; key_id: string },
  text: string,
  signature: string,
): Promise<boolean> {
  const { certificate } = await findCertificate(session, cid, signer.node, signer.key_id);
  if (certificate === null) return false;
  return verifyBytes(parsePublicKey(certificate.public_key), Buffer.from(text, 'utf8'), signature);
}
