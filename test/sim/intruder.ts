import { createHash } from 'node:crypto';
import type { Membership } from '../../contract/memory/membership.ts';
import { canonicalJson } from '../../memory/format/canonical-json.ts';
import {
  certificateKey,
  headKey,
  nameHash,
  parseSegmentKey,
  segmentKey,
} from '../../memory/format/layout.ts';
import { FIRST_PREV_SHA, readOperations, sealSegment } from '../../memory/format/segment.ts';
import type { NodeIdentity } from '../../memory/session.ts';
import type { Bucket } from './bucket.ts';
import type { Dice } from './dice.ts';

/** The attacks of one step. */
export const ATTACKS = ['delete', 'rewrite', 'invent', 'bomb', 'impostor', 'head', 'keys'] as const;
export type Attack = (typeof ATTACKS)[number];

const NAME = 'intruder';
/** An incarnation that no honest node has by chance. */
const EPOCH = '0fffffffffff00000000';

/** A memory that some honest node published, as far as an operation needs it. */
interface Known {
  readonly kind: string;
  readonly key: string;
}

/**
 * A machine that was removed from the fleet and still reaches the object store, with its old key and certificate.
 * Nothing that it does may affect honest machines.
 */
export class Intruder {
  readonly #identity: NodeIdentity;
  readonly #bucket: Bucket;
  #seq = 0;
  #prevSha = FIRST_PREV_SHA;

  /** @param identityOf returns the keys of a node by its name */
  constructor(bucket: Bucket, identityOf: (node: string) => NodeIdentity) {
    this.#bucket = bucket;
    this.#identity = identityOf(NAME);
  }

  /** Returns the control plane's entry about the intruder: its key no longer signs. */
  get retired(): Membership['retired'] {
    return [{ node: NAME, key_id: this.#identity.key.keyId, until: 1 }];
  }

  /** Attacks a space. @returns whether there was a target */
  act(attack: Attack, cid: string, dice: Dice): boolean {
    const told = this.#listKnown(cid);
    switch (attack) {
      case 'delete':
        return this.#send(
          cid,
          told.map(({ kind, key }) => ({ kind, key, ver: [99, 1, NAME], del: true })),
        );
      case 'rewrite':
        return this.#send(
          cid,
          told
            .filter(({ kind }) => kind === 'observation')
            .map(({ kind, key }) => ({
              kind,
              key,
              ver: [99, 1, dice.pick(['a', NAME])],
              up: { concepts: '["false"]' },
            })),
        );
      case 'invent':
        return this.#send(cid, [
          {
            kind: 'session',
            key: createHash('sha256').update(String(dice.seed())).digest('hex'),
            ver: [1, 1, NAME],
            set: {
              content_session_id: 'false',
              project: 'garden',
              started_at_epoch: 1,
              platform_source: 'claude',
            },
          },
        ]);
      case 'bomb':
        return this.#send(cid, ['\n'.repeat(1_000_000)]);
      case 'impostor':
        return this.#impersonate(cid, dice);
      case 'head':
        return this.#overwrite(headKey, cid, dice, 'false');
      case 'keys':
        return this.#overwrite(certificateKey, cid, dice, '{}');
    }
  }

  /** Returns every memory in the store's segments. */
  #listKnown(cid: string): Known[] {
    return this.#bucket.keys(`${cid}/memory/v1/seg/`).flatMap((key) => {
      const bytes = this.#bucket.get(key);
      try {
        return bytes === null
          ? []
          : readOperations(bytes).operations.map((operation) => ({
              kind: operation.kind,
              key: operation.key.toString('hex'),
            }));
      } catch {
        // A spoiled object holds no memory.
        return [];
      }
    });
  }

  /** Writes a segment of its own into the store, with its certificate and a head that names it. */
  #send(cid: string, lines: readonly (object | string)[]): boolean {
    if (lines.length === 0) return false;
    const { key, certificate } = this.#identity;
    this.#seq += 1;
    const place = {
      space: cid,
      node: NAME,
      epoch: EPOCH,
      seq: this.#seq,
      prevSha: this.#prevSha,
      schema: 'x',
    };
    const texts = lines.map((line) => (typeof line === 'string' ? line : canonicalJson(line)));
    const sealed = sealSegment(place, texts, key);
    this.#prevSha = sealed.sha;
    const keys = { format: 'membridge-keys/1', certificates: [certificate] };
    this.#bucket.plant(certificateKey(cid, NAME), Buffer.from(`${canonicalJson(keys)}\n`));
    this.#bucket.plant(
      segmentKey(cid, { node: NAME, epoch: EPOCH, seq: this.#seq, hash: nameHash(sealed.sha) }),
      sealed.bytes,
    );
    this.#bucket.plant(headKey(cid, NAME), Buffer.from(`${EPOCH}/${this.#seq}\n`));
    return true;
  }

  /** Writes a segment at the next place of an honest node's log, signed with the wrong key. */
  #impersonate(cid: string, dice: Dice): boolean {
    const keys = this.#bucket.keys(`${cid}/memory/v1/seg/`);
    const name = keys.length === 0 ? null : parseSegmentKey(cid, dice.pick(keys));
    if (name === null || name.node === NAME) return false;
    const place = {
      space: cid,
      node: name.node,
      epoch: name.epoch,
      seq: name.seq + 1,
      prevSha: name.hash.padEnd(64, '0'),
      schema: 'x',
    };
    const line = canonicalJson({
      kind: 'observation',
      key: '0'.repeat(64),
      ver: [1, 1, name.node],
      del: true,
    });
    const sealed = sealSegment(place, [line], this.#identity.key);
    this.#bucket.plant(segmentKey(cid, { ...place, hash: nameHash(sealed.sha) }), sealed.bytes);
    return true;
  }

  /** Overwrites an object that an honest node keeps writing. */
  #overwrite(keyOf: (cid: string, node: string) => string, cid: string, dice: Dice, text: string): boolean {
    const prefix = keyOf(cid, '').replace(/\.json$/, '');
    const keys = this.#bucket.keys(prefix).filter((key) => !key.includes(NAME));
    if (keys.length === 0) return false;
    this.#bucket.spoil(dice.pick(keys), Buffer.from(text));
    return true;
  }
}
